//! Datagrams in batches: one call of the kernel brings as many as wait. Those it had to drop are counted, so that loss is
//! never silent.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg};
use tokio::io::Interest;
use tokio::net::{UdpSocket, UnixDatagram};

use crate::ListenError;

/// Largest datagram.
const PACKET_BYTES_MAX: usize = 65_536;
/// Datagrams read with one call.
const BATCH_PACKETS_MAX: usize = 32;
/// What is asked of the kernel as queue, in bytes; it may give less.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// How often the kernel is asked how many it dropped.
pub(crate) const DROPS_EVERY: Duration = Duration::from_secs(1);

pub(crate) enum Datagrams {
    Udp(UdpSocket),
    Unix(UnixDatagram, PathBuf),
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Whoever comes next makes it anew.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Datagrams {
    pub(crate) async fn udp(what: &'static str, address: &str) -> Result<Self, ListenError> {
        let socket = UdpSocket::bind(address).await.map_err(ListenError::of(what, address))?;
        // A smaller queue only means that bursts are lost sooner, which is counted.
        let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &QUEUE_BYTES);
        Ok(Self::Udp(socket))
    }

    /// Makes the socket, open to every user of the machine as a loopback port is. One that a killed server left is replaced.
    pub(crate) fn unix(what: &'static str, path: &Path) -> Result<Self, ListenError> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        let wrong = || ListenError::of(what, &path.display().to_string());
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
        let answers = || std::os::unix::net::UnixDatagram::unbound().is_ok_and(|s| s.connect(path).is_ok());
        if is_socket && !answers() {
            std::fs::remove_file(path).map_err(wrong())?;
        }
        let socket = UnixDatagram::bind(path).map_err(wrong())?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(wrong())?;
        Ok(Self::Unix(socket, path.to_owned()))
    }

    pub(crate) const fn transport(&self) -> &'static str {
        match self {
            Self::Udp(_) => "udp",
            Self::Unix(..) => "unix",
        }
    }

    /// Waits, then hands over every datagram that is there, up to a batch.
    pub(crate) async fn receive(&self, buffers: &mut Buffers, each: impl FnMut(&[u8])) -> io::Result<()> {
        let read = |fd: RawFd| move || batch(fd, buffers, each).map_err(io::Error::from);
        let done = match self {
            Self::Udp(socket) => {
                socket.readable().await?;
                socket.try_io(Interest::READABLE, read(socket.as_raw_fd()))
            }
            Self::Unix(socket, _) => {
                socket.readable().await?;
                socket.try_io(Interest::READABLE, read(socket.as_raw_fd()))
            }
        };
        match done {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            done => done,
        }
    }

    /// Datagrams the kernel dropped because the queue was full. A Unix socket drops none: its senders wait.
    pub(crate) fn dropped(&self) -> Option<u64> {
        match self {
            Self::Udp(socket) => dropped(socket.local_addr().ok()?),
            Self::Unix(..) => None,
        }
    }
}

/// Room for a batch.
pub(crate) struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    pub(crate) fn new() -> Self {
        Self(vec![vec![0; PACKET_BYTES_MAX]; BATCH_PACKETS_MAX])
    }
}

fn batch(fd: RawFd, buffers: &mut Buffers, mut each: impl FnMut(&[u8])) -> nix::Result<()> {
    let mut headers = MultiHeaders::<()>::preallocate(buffers.0.len(), None);
    let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffers.0.iter_mut().map(|b| [IoSliceMut::new(b)]).collect();
    let received = recvmmsg(fd, &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    for message in received {
        message.iovs().for_each(&mut each);
    }
    Ok(())
}

/// The last column of `/proc/net/udp`.
fn dropped(address: SocketAddr) -> Option<u64> {
    let table = if address.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    let text = std::fs::read_to_string(table).ok()?;
    let port = format!(":{:04X}", address.port());
    text.lines()
        .filter(|line| line.split_ascii_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)))
        .find_map(|line| line.split_ascii_whitespace().next_back()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernels_count_of_drops_is_found() {
        let socket = Datagrams::udp("StatsD", "127.0.0.1:0").await.unwrap();
        assert_eq!(socket.dropped(), Some(0));
        let Datagrams::Udp(inner) = &socket else { unreachable!() };
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // Nobody reads: the queue fills up.
        let address = inner.local_addr().unwrap();
        let mut sent = 0_u64;
        while socket.dropped() == Some(0) && sent < 2_000 {
            for _ in 0..50 {
                client.send_to(&[b'x'; 9_000], address).unwrap();
                sent += 1;
            }
        }
        let lost = socket.dropped().unwrap();
        assert!(lost > 0, "{sent} datagrams fit into the queue");
        let (mut buffers, mut read) = (Buffers::new(), 0);
        while read < sent - lost {
            socket.receive(&mut buffers, |packet| read += u64::from(packet.len() == 9_000)).await.unwrap();
        }
        assert_eq!(read + socket.dropped().unwrap(), sent, "each is read or counted");
    }

    #[tokio::test]
    async fn a_unix_socket_is_made_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("statsd.sock");
        drop(std::os::unix::net::UnixDatagram::bind(&path).unwrap());
        let socket = Datagrams::unix("StatsD", &path).unwrap();
        let taken = Datagrams::unix("StatsD", &path).err().unwrap();
        assert!(taken.to_string().contains("statsd.sock"), "one that answers is left alone");
        let client = std::os::unix::net::UnixDatagram::unbound().unwrap();
        for text in ["one", "two"] {
            client.send_to(text.as_bytes(), &path).unwrap();
        }
        let (mut buffers, mut read) = (Buffers::new(), Vec::new());
        while read.len() < 2 {
            let each = |packet: &[u8]| read.push(String::from_utf8_lossy(packet).into_owned());
            socket.receive(&mut buffers, each).await.unwrap();
        }
        assert_eq!(read, ["one", "two"]);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn an_address_in_use_is_said() {
        let socket = Datagrams::udp("StatsD", "127.0.0.1:0").await.unwrap();
        let Datagrams::Udp(inner) = &socket else { unreachable!() };
        let address = inner.local_addr().unwrap().to_string();
        let error = Datagrams::udp("StatsD", &address).await.err().unwrap();
        assert!(error.to_string().contains(&address));
    }
}
