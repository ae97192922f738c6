//! Datagrams in batches: one call of the kernel brings as many as wait. Those it had to drop are counted, and how full each
//! socket's queue is becomes a series, so that loss is never silent and can be seen coming.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, MultiHeaders, getsockopt, recvmmsg, sockopt};
use tenfold_app::metrics::Own;
use tokio::io::Interest;
use tokio::net::{UdpSocket, UnixDatagram};

use crate::ListenError;

/// Largest datagram.
pub(crate) const PACKET_BYTES_MAX: usize = 65_536;
/// Datagrams read with one call.
const BATCH_PACKETS_MAX: usize = 32;
/// What is asked of the kernel as queue, in bytes; it may give less.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// How often the kernel is asked how many it dropped and how many wait.
pub(crate) const DROPS_EVERY: Duration = Duration::from_secs(1);
/// Where the kernel says how many datagrams wait in a Unix socket at most; then their senders wait.
const UNIX_PACKETS_MAX: &str = "/proc/sys/net/unix/max_dgram_qlen";

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
        let _ = nix::sys::socket::setsockopt(&socket, sockopt::RcvBuf, &QUEUE_BYTES);
        Ok(Self::Udp(socket))
    }

    /// Makes the socket, open to every user of the machine as a loopback port is. One that a killed server left is replaced.
    pub(crate) fn unix(what: &'static str, path: &Path) -> Result<Self, ListenError> {
        let wrong = || ListenError::of(what, &path.display().to_string());
        let answers = || std::os::unix::net::UnixDatagram::unbound().is_ok_and(|s| s.connect(path).is_ok());
        if is_socket(path) && !answers() {
            std::fs::remove_file(path).map_err(wrong())?;
        }
        let socket = UnixDatagram::bind(path).map_err(wrong())?;
        open_to_all(path).map_err(wrong())?;
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

    /// What the kernel says of the queue. Of a Unix socket it says nothing, and drops none: its senders wait.
    fn queue(&self) -> Option<Queue> {
        match self {
            Self::Udp(socket) => {
                let table = if socket.local_addr().ok()?.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
                let inode = std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?.ino().to_string();
                let look = |_| {
                    let text = std::fs::read_to_string(table).ok()?;
                    text.lines().find_map(|line| Queue::read(line, &inode))
                };
                (0..LOOKS).find_map(look)
            }
            Self::Unix(..) => None,
        }
    }

    /// Brings the series of this socket's queue up to date; gives how many datagrams the kernel dropped because it was full.
    pub(crate) fn tell(&self, own: &Own, protocol: &str, buffers: &mut Buffers) -> Option<u64> {
        let of = [("protocol", protocol), ("transport", self.transport())];
        own.set("tenfold_socket_queue_packets", &of, std::mem::take(&mut buffers.waited_max) as f64);
        match self {
            Self::Udp(socket) => {
                if let Ok(max) = getsockopt(socket, sockopt::RcvBuf) {
                    own.set("tenfold_socket_queue_bytes_max", &of, max as f64);
                }
            }
            Self::Unix(..) => {
                let max = std::fs::read_to_string(UNIX_PACKETS_MAX).ok().and_then(|text| text.trim().parse().ok());
                if let Some(max) = max {
                    own.set("tenfold_socket_queue_packets_max", &of, max);
                }
            }
        }
        let queue = self.queue()?;
        own.set("tenfold_socket_queue_bytes", &of, queue.waiting_bytes as f64);
        Some(queue.dropped)
    }
}

pub(crate) fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket())
}

/// Every user of the machine may send there.
pub(crate) fn open_to_all(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))
}

/// The kernel lists rows by their place: of a table that is read while other sockets are closed one may be missing.
const LOOKS: usize = 3;

/// A socket's row of `/proc/net/udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Queue {
    /// Of memory, as the kernel counts it against the queue's size.
    waiting_bytes: u64,
    /// Datagrams since the socket was made.
    dropped: u64,
}

impl Queue {
    /// The row of this inode.
    fn read(line: &str, inode: &str) -> Option<Self> {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        if *columns.get(9)? != inode {
            return None;
        }
        let (_, waiting) = columns.get(4)?.split_once(':')?;
        let waiting_bytes = u64::from_str_radix(waiting, 16).ok()?;
        Some(Self { waiting_bytes, dropped: columns.last()?.parse().ok()? })
    }
}

/// Room for a batch.
pub(crate) struct Buffers {
    room: Vec<Vec<u8>>,
    /// The most datagrams that one read found since the socket was told of; no more than a batch.
    waited_max: usize,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self { room: vec![vec![0; PACKET_BYTES_MAX]; BATCH_PACKETS_MAX], waited_max: 0 }
    }
}

fn batch(fd: RawFd, buffers: &mut Buffers, mut each: impl FnMut(&[u8])) -> nix::Result<()> {
    let mut headers = MultiHeaders::<()>::preallocate(buffers.room.len(), None);
    let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffers.room.iter_mut().map(|b| [IoSliceMut::new(b)]).collect();
    let received = recvmmsg(fd, &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    let mut waited = 0;
    for message in received {
        waited += 1;
        message.iovs().for_each(&mut each);
    }
    buffers.waited_max = buffers.waited_max.max(waited);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernels_count_of_drops_is_found() {
        let socket = Datagrams::udp("StatsD", "127.0.0.1:0").await.unwrap();
        let dropped = || socket.queue().map(|queue| queue.dropped);
        assert_eq!(dropped(), Some(0));
        let Datagrams::Udp(inner) = &socket else { unreachable!() };
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // Nobody reads: the queue fills up.
        let address = inner.local_addr().unwrap();
        let mut sent = 0_u64;
        while dropped() == Some(0) && sent < 2_000 {
            for _ in 0..50 {
                client.send_to(&[b'x'; 9_000], address).unwrap();
                sent += 1;
            }
        }
        let lost = dropped().unwrap();
        assert!(lost > 0, "{sent} datagrams fit into the queue");
        let (mut buffers, mut read) = (Buffers::new(), 0);
        while read < sent - lost {
            socket.receive(&mut buffers, |packet| read += u64::from(packet.len() == 9_000)).await.unwrap();
        }
        assert_eq!(read + dropped().unwrap(), sent, "each is read or counted");
    }

    #[test]
    fn a_row_of_the_kernels_table_is_read_by_its_inode() {
        let row = "  496: 0100007F:BEB0 00000000:0000 07 00000000:00000F00 00:00000000 00000000     0        0 6521191 2 00000000fc035b5f 17";
        assert_eq!(Queue::read(row, "6521191"), Some(Queue { waiting_bytes: 3_840, dropped: 17 }));
        for (line, inode) in [(row, "652119"), ("sl local_address rem_address st tx_queue", "st"), ("", "")] {
            assert_eq!(Queue::read(line, inode), None, "{line}");
        }
    }

    #[tokio::test]
    async fn how_full_a_queue_is_becomes_series() {
        let socket = Datagrams::udp("StatsD", "127.0.0.1:0").await.unwrap();
        let Datagrams::Udp(inner) = &socket else { unreachable!() };
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (own, mut buffers) = (Own::default(), Buffers::new());
        let of = [("protocol", "statsd"), ("transport", "udp")];
        for _ in 0..3 {
            client.send_to(&[b'x'; 1_000], inner.local_addr().unwrap()).unwrap();
        }
        assert_eq!(socket.tell(&own, "statsd", &mut buffers), Some(0));
        let (waiting, max) =
            (own.get("tenfold_socket_queue_bytes", &of), own.get("tenfold_socket_queue_bytes_max", &of));
        assert!(waiting >= 3_000.0 && waiting < max, "{waiting} of {max}");
        let mut read = 0;
        while read < 3 {
            socket.receive(&mut buffers, |_| read += 1).await.unwrap();
        }
        socket.tell(&own, "statsd", &mut buffers);
        assert_eq!(own.get("tenfold_socket_queue_bytes", &of), 0.0, "all were read");
        assert_eq!(own.get("tenfold_socket_queue_packets", &of), 3.0, "three waited");
        socket.tell(&own, "statsd", &mut buffers);
        assert_eq!(own.get("tenfold_socket_queue_packets", &of), 0.0, "and none since then");
    }

    #[tokio::test]
    async fn of_a_unix_socket_the_datagrams_that_waited_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("statsd.sock");
        let socket = Datagrams::unix("StatsD", &path).unwrap();
        let client = std::os::unix::net::UnixDatagram::unbound().unwrap();
        let (own, mut buffers) = (Own::default(), Buffers::new());
        let of = [("protocol", "statsd"), ("transport", "unix")];
        for _ in 0..2 {
            client.send_to(b"a:1|c", &path).unwrap();
        }
        let mut read = 0;
        while read < 2 {
            socket.receive(&mut buffers, |_| read += 1).await.unwrap();
        }
        assert_eq!(socket.tell(&own, "statsd", &mut buffers), None, "none is dropped");
        assert_eq!(own.get("tenfold_socket_queue_packets", &of), 2.0);
        assert!(own.get("tenfold_socket_queue_packets_max", &of) > 0.0);
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
