//! The parent of a build on its own, for the tests of this crate; the product carries it as a verb of its one program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some("sandbox") {
        return ExitCode::from(2);
    }
    ExitCode::from(tenfold_runner::sandbox::main(args.next().as_deref()))
}
