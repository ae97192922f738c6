//! Ganglia: the XML of gmond and gmetad over TCP.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Everything a gmond or gmetad says when it is connected to.
pub(crate) async fn ask(address: &str, timeout_ms: u64) -> Result<Bytes, String> {
    let all = async {
        let stream = TcpStream::connect(address).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let within = Duration::from_millis(timeout_ms);
    match tokio::time::timeout(within, all).await {
        Err(_) => Err("the target did not answer in time".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(answer)) if answer.len() as u64 > ANSWER_BYTES_MAX => {
            Err(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"))
        }
        Ok(Ok(answer)) => Ok(answer.into()),
    }
}
