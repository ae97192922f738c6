//! Threads that end with a query, for tests and benchmarks.

use tenfold_promql::Threads;

/// So many threads.
pub struct Scoped(pub usize);

impl Threads for Scoped {
    fn count(&self) -> usize {
        self.0
    }
    fn run(&self, others: usize, work: &(dyn Fn() + Sync), here: &mut dyn FnMut()) {
        std::thread::scope(|scope| {
            (0..others).for_each(|_| drop(scope.spawn(work)));
            here();
        });
    }
}
