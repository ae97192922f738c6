//! What would happen: the pipeline itself, stepped on a copy of its state.

use tenfold_types::Timestamp;

use super::{Context, Effect, Input, PipelineState, step};

/// Effects one simulation may bring.
pub const EFFECTS_MAX: usize = 100_000;

/// An effect and when it comes.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub at: Timestamp,
    pub effect: Effect,
}

/// What is due at the instant of an input comes before the input. Steps a copy of `state` through `inputs` (in the order of their times) and on to `until`. Ends early, with what there
/// is, after [`EFFECTS_MAX`] effects.
pub fn simulate(
    context: Context<'_>,
    state: &PipelineState,
    inputs: &[(Timestamp, Input)],
    until: Timestamp,
) -> Vec<Planned> {
    let mut state = state.clone();
    let mut out = Vec::new();
    let mut inputs = inputs.iter().filter(|(at, _)| *at <= until).peekable();
    loop {
        let due = state.next_due().filter(|at| *at <= until);
        let (at, input) = match (inputs.peek(), due) {
            (Some((at, _)), Some(due)) if due <= *at => (due, Input::Tick),
            (Some(_), _) => match inputs.next() {
                Some((at, input)) => (*at, input.clone()),
                None => return out,
            },
            (None, Some(due)) => (due, Input::Tick),
            (None, None) => return out,
        };
        out.extend(step(context, &mut state, input, at).into_iter().map(|effect| Planned { at, effect }));
        if out.len() >= EFFECTS_MAX {
            return out;
        }
    }
}
