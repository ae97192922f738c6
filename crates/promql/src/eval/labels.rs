//! `label_replace` and `label_join`.

use std::sync::Arc;

use tenfold_types::pattern::{expand, whole_with_groups};

use super::{
    Context, Grid, Sink,
    row::{Row, join_same},
    string,
};
use crate::{error::QueryError, syntax::ast::Expr};

/// Longest value that may be made; a few of these functions in one another would otherwise make gigabytes.
const MADE_BYTES_MAX: usize = 64 * 1024;

fn check_made(bytes: usize) -> Result<(), QueryError> {
    if bytes > MADE_BYTES_MAX {
        return Err(QueryError::Limit(format!("a label is made of at most {MADE_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Any text but an empty one names a label.
fn check_label_name(name: &str, kind: &str, function: &str) -> Result<(), QueryError> {
    if name.is_empty() {
        return Err(QueryError::execution(format!("invalid {kind} label name in {function}(): {name}")));
    }
    Ok(())
}

impl Context<'_> {
    /// Rewrites the labels of every row and joins those that became equal.
    fn relabel(
        &self,
        arg: &Expr,
        grid: Grid,
        sink: Sink<'_>,
        rewrite: impl Fn(&mut Row) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let mut rows = self.rows(arg, grid)?;
        rows.iter_mut().try_for_each(rewrite)?;
        join_same(rows)?.into_iter().try_for_each(sink)
    }

    pub fn label_replace(&self, args: &[Expr], grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let [_, target, replacement, source, regex] = args else {
            return Err(QueryError::execution("label_replace takes five arguments"));
        };
        let (target, replacement, source) = (string(target)?, string(replacement)?, string(source)?);
        let regex = string(regex)?;
        let regex = whole_with_groups(regex)
            .map_err(|_| QueryError::execution(format!("invalid regular expression in label_replace(): {regex}")))?;
        check_label_name(target, "destination", "label_replace")?;
        let references = replacement.matches('$').count();
        self.relabel(&args[0], grid, sink, |row| {
            let value = row.labels.get(source).unwrap_or_default();
            if let Some(captures) = regex.captures(value) {
                check_made(references.saturating_mul(value.len()).saturating_add(replacement.len()))?;
                let mut text = String::new();
                expand(&captures, replacement, &mut text);
                self.hold(text.len())?;
                row.labels = Arc::new((*row.labels).clone().with(target, text));
                if target == tenfold_types::Labels::NAME {
                    row.drop_name = false;
                }
            }
            Ok(())
        })
    }

    pub fn label_join(&self, args: &[Expr], grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let (target, separator) = (string(&args[1])?, string(&args[2])?);
        let sources = args[3..].iter().map(string).collect::<Result<Vec<_>, _>>()?;
        sources.iter().try_for_each(|source| check_label_name(source, "source", "label_join"))?;
        check_label_name(target, "destination", "label_join")?;
        self.relabel(&args[0], grid, sink, |row| {
            let values: Vec<&str> = sources.iter().map(|s| row.labels.get(s).unwrap_or_default()).collect();
            check_made(values.iter().map(|value| value.len() + separator.len()).sum())?;
            let text = values.join(separator);
            self.hold(text.len())?;
            row.labels = Arc::new((*row.labels).clone().with(target, text));
            if target == tenfold_types::Labels::NAME {
                row.drop_name = false;
            }
            Ok(())
        })
    }
}
