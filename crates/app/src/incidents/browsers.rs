//! A page, or what became of it, to every browser of a person. One that takes it is enough; what the push services know
//! no more is forgotten.

use futures_util::future::join_all;
use tenfold_store::push_browsers::BrowserRow;

use crate::App;
use crate::alerts::{NotifyError, Push, PushError};
use crate::people::push_to;

/// Pushes to all browsers at once. Put off is what no browser took and some push service may take later.
pub(super) async fn push(app: &App, login: &str, what: Push<'_>, key: &str) -> Result<(), NotifyError> {
    let Some(notifier) = app.alerts.notifier.read().clone() else {
        return Err(failed(false, "no channel is connected".to_owned()));
    };
    let rows = app.browsers(login).await.map_err(|fault| failed(false, fault.message))?;
    let mut calls = Vec::with_capacity(rows.len());
    for row in &rows {
        let notifier = notifier.clone();
        calls.push(async move { notifier.push(&push_to(row), what, key).await });
    }
    let answers = join_all(calls).await;
    let gone: Vec<BrowserRow> = rows
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| matches!(answer, Err(PushError::Gone)))
        .map(|(row, _)| row.clone())
        .collect();
    if !gone.is_empty()
        && let Err(fault) = app.browsers_gone(&gone).await
    {
        tracing::warn!(%fault, "browsers that are no more could not be forgotten; the next page tries again");
    }
    all_in_all(answers)
}

/// What is said of the way as a whole.
fn all_in_all(answers: Vec<Result<(), PushError>>) -> Result<(), NotifyError> {
    let mut refused = None;
    let mut put_off: Option<NotifyError> = None;
    for answer in answers {
        match answer {
            Ok(()) => return Ok(()),
            Err(PushError::Gone) => {}
            Err(PushError::Failed(error)) if error.permanent => refused = Some(error),
            Err(PushError::Failed(error)) => {
                let sooner = put_off.as_ref().is_none_or(|before| {
                    error.retry_after_ms.is_some_and(|ms| before.retry_after_ms.is_none_or(|b| ms < b))
                });
                if sooner {
                    put_off = Some(error);
                }
            }
        }
    }
    let none = || failed(true, "no browser takes pages any more".to_owned());
    Err(put_off.or(refused).unwrap_or_else(none))
}

fn failed(permanent: bool, message: String) -> NotifyError {
    NotifyError { too_large: false, permanent, retry_after_ms: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(permanent: bool, retry_after_ms: Option<i64>) -> Result<(), PushError> {
        Err(PushError::Failed(NotifyError { retry_after_ms, ..failed(permanent, format!("{retry_after_ms:?}")) }))
    }

    #[test]
    fn one_browser_is_enough_and_hope_outlives_refusal() {
        let gone = || Err(PushError::Gone);
        assert_eq!(all_in_all(vec![gone(), of(false, None), Ok(())]), Ok(()));
        assert_eq!(
            all_in_all(vec![of(true, None), of(false, Some(9)), of(false, Some(7)), gone()])
                .unwrap_err()
                .retry_after_ms,
            Some(7)
        );
        assert!(all_in_all(vec![of(true, None), gone()]).unwrap_err().permanent);
        let none = all_in_all(vec![gone()]).unwrap_err();
        assert!(none.permanent && none.message.contains("no browser"), "{none}");
        assert!(all_in_all(Vec::new()).unwrap_err().permanent);
    }
}
