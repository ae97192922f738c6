//! Network devices, protocols and sockets, of the network namespace the agent runs in.

use std::collections::BTreeMap;
use std::io;

use super::{Host, Page, numbers, optional};

const RECEIVED: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"];
const SENT: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"];

pub(super) fn devices(host: &Host, page: &mut Page) -> io::Result<()> {
    for line in host.read("proc/net/dev")?.lines().skip(2) {
        let Some((device, rest)) = line.rsplit_once(':') else { continue };
        let (device, values) = (device.trim(), numbers(rest.split_ascii_whitespace()));
        let named = RECEIVED.iter().map(|n| ("receive", n)).chain(SENT.iter().map(|n| ("transmit", n)));
        for ((way, name), value) in named.zip(values) {
            page.put(&format!("node_network_{way}_{name}_total"), &[("device", device)], value);
        }
    }
    Ok(())
}

/// What `/sys/class/net` says of each device.
pub(super) fn links(host: &Host, page: &mut Page) -> io::Result<()> {
    for entry in std::fs::read_dir(host.path("sys/class/net"))? {
        let Ok(device) = entry?.file_name().into_string() else { continue };
        // `bonding_masters` is a list of devices.
        if !host.path(format!("sys/class/net/{device}")).is_dir() {
            continue;
        }
        let labels = [("device", device.as_str())];
        let at = |file: &str| format!("sys/class/net/{device}/{file}");
        let state = host.read(at("operstate")).unwrap_or_default();
        page.put("node_network_up", &labels, f64::from(u8::from(state.trim() == "up")));
        let text = |file: &str| host.read(at(file)).map(|text| text.trim().to_owned()).unwrap_or_default();
        let flags = u32::from_str_radix(text("flags").trim_start_matches("0x"), 16).unwrap_or(0);
        let info = [
            ("address", text("address")),
            ("adminstate", if flags & 1 == 1 { "up" } else { "down" }.to_owned()),
            ("broadcast", text("broadcast")),
            ("device", device.clone()),
            ("duplex", text("duplex")),
            ("ifalias", text("ifalias")),
            ("operstate", state.trim().to_owned()),
        ];
        page.put("node_network_info", &info.each_ref().map(|(name, value)| (*name, value.as_str())), 1.0);
        // A device that is down has none of these.
        for (file, name) in [
            ("mtu", "node_network_mtu_bytes"),
            ("carrier", "node_network_carrier"),
            ("carrier_changes", "node_network_carrier_changes_total"),
            ("carrier_up_count", "node_network_carrier_up_changes_total"),
            ("carrier_down_count", "node_network_carrier_down_changes_total"),
            ("tx_queue_len", "node_network_transmit_queue_length"),
            ("statistics/rx_nohandler", "node_network_receive_nohandler_total"),
        ] {
            if let Ok(value) = host.number(at(file)) {
                page.put(name, &labels, value);
            }
        }
        if let Ok(megabits) = host.number(at("speed"))
            && megabits >= 0.0
        {
            page.put("node_network_speed_bytes", &labels, megabits * 1e6 / 8.0);
        }
    }
    Ok(())
}

/// Which of the hundreds of counters are told: those that node_exporter tells too.
const PROTOCOLS: [(&str, &[&str]); 8] = [
    ("Ip", &["Forwarding"]),
    ("IpExt", &["InOctets", "OutOctets"]),
    ("Icmp", &["InMsgs", "InErrors", "OutMsgs"]),
    ("Tcp", &["ActiveOpens", "PassiveOpens", "CurrEstab", "InErrs", "InSegs", "OutSegs", "OutRsts", "RetransSegs"]),
    (
        "TcpExt",
        &[
            "ListenDrops",
            "ListenOverflows",
            "SyncookiesFailed",
            "SyncookiesRecv",
            "SyncookiesSent",
            "TCPOFOQueue",
            "TCPRcvQDrop",
            "TCPSynRetrans",
            "TCPTimeouts",
        ],
    ),
    ("Udp", &["InDatagrams", "InErrors", "NoPorts", "OutDatagrams", "RcvbufErrors", "SndbufErrors"]),
    ("UdpLite", &["InErrors"]),
    ("Ip6", &["InOctets", "OutOctets"]),
];
const PROTOCOLS_6: [(&str, &[&str]); 3] = [
    ("Icmp6", &["InMsgs", "InErrors", "OutMsgs"]),
    ("Udp6", &["InDatagrams", "InErrors", "NoPorts", "OutDatagrams", "RcvbufErrors", "SndbufErrors"]),
    ("UdpLite6", &["InErrors"]),
];

fn is_told(protocol: &str, counter: &str) -> bool {
    PROTOCOLS.iter().chain(&PROTOCOLS_6).any(|(name, told)| *name == protocol && told.contains(&counter))
}

pub(super) fn protocols(host: &Host, page: &mut Page) -> io::Result<()> {
    for file in ["proc/net/snmp", "proc/net/netstat"] {
        let text = host.read(file)?;
        // A line of names, then a line of values.
        let mut lines = text.lines();
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let (Some((protocol, names)), Some((_, values))) = (names.split_once(':'), values.split_once(':')) else {
                continue;
            };
            let values = numbers(values.split_ascii_whitespace());
            for (name, value) in names.split_ascii_whitespace().zip(values) {
                if is_told(protocol, name) {
                    page.put(&format!("node_netstat_{protocol}_{name}"), &[], value);
                }
            }
        }
    }
    let Some(text) = optional(host.read("proc/net/snmp6"))? else { return Ok(()) };
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (fields.next(), fields.next()) else { continue };
        let Some((protocol, counter)) = name.split_once('6') else { continue };
        let protocol = format!("{protocol}6");
        if is_told(&protocol, counter)
            && let Ok(value) = value.parse()
        {
            page.put(&format!("node_netstat_{protocol}_{counter}"), &[], value);
        }
    }
    Ok(())
}

/// Memory that datagrams hold which wait to be sent or read, of all sockets together.
pub(super) fn udp_queues(host: &Host, page: &mut Page) -> io::Result<()> {
    for (file, ip) in [("proc/net/udp", "v4"), ("proc/net/udp6", "v6")] {
        let Some(text) = optional(host.read(file))? else { continue };
        let bytes = |hex: &str| u32::from_str_radix(hex, 16).map_or(0.0, f64::from);
        let (mut sent, mut received) = (0.0, 0.0);
        for line in text.lines().skip(1) {
            let queues = line.split_ascii_whitespace().nth(4).and_then(|column| column.split_once(':'));
            let Some((tx, rx)) = queues else { continue };
            sent += bytes(tx);
            received += bytes(rx);
        }
        page.put("node_udp_queues", &[("ip", ip), ("queue", "tx")], sent);
        page.put("node_udp_queues", &[("ip", ip), ("queue", "rx")], received);
    }
    Ok(())
}

/// `TCP: inuse 9 orphan 0` is `node_sockstat_TCP_inuse` and so on; memory is in pages, and told in bytes as well.
pub(super) fn sockets(host: &Host, page: &mut Page) -> io::Result<()> {
    let page_bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?.unwrap_or(4096) as f64;
    for file in ["proc/net/sockstat", "proc/net/sockstat6"] {
        let Some(text) = optional(host.read(file))? else { continue };
        for line in text.lines() {
            let Some((protocol, rest)) = line.split_once(':') else { continue };
            let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
            for pair in fields.as_chunks::<2>().0 {
                let Ok(value) = pair[1].parse::<f64>() else { continue };
                page.put(&format!("node_sockstat_{protocol}_{}", pair[0]), &[], value);
                if pair[0] == "mem" {
                    page.put(&format!("node_sockstat_{protocol}_mem_bytes"), &[], value * page_bytes);
                }
            }
        }
    }
    Ok(())
}

/// Columns of a processor's line, in hexadecimal.
const SOFTNET: [(usize, &str); 7] = [
    (0, "processed_total"),
    (1, "dropped_total"),
    (2, "times_squeezed_total"),
    (8, "cpu_collision_total"),
    (9, "received_rps_total"),
    (10, "flow_limit_count_total"),
    (11, "backlog_len"),
];
/// Which processor it is, since Linux 5.14.
const SOFTNET_CPU: usize = 12;

pub(super) fn soft_interrupts(host: &Host, page: &mut Page) -> io::Result<()> {
    softnet(&host.read("proc/net/softnet_stat")?, page);
    Ok(())
}

fn softnet(text: &str, page: &mut Page) {
    for (at, line) in text.lines().enumerate() {
        let read = |value: &str| u32::from_str_radix(value, 16).unwrap_or(0);
        let values: Vec<u32> = line.split_ascii_whitespace().map(read).collect();
        // A processor that is off has no line.
        let cpu = values.get(SOFTNET_CPU).map_or_else(|| at.to_string(), u32::to_string);
        for (column, name) in SOFTNET {
            if let Some(value) = values.get(column) {
                page.put(&format!("node_softnet_{name}"), &[("cpu", &cpu)], f64::from(*value));
            }
        }
    }
}

/// Of each processor's line, those that say that something is lost or searched for; the rest moves with every packet.
const TRACKED: [&str; 8] =
    ["found", "invalid", "ignore", "insert", "insert_failed", "drop", "early_drop", "search_restart"];

/// Only where connections are tracked.
pub(super) fn connections(host: &Host, page: &mut Page) -> io::Result<()> {
    for (file, name) in
        [("nf_conntrack_count", "node_nf_conntrack_entries"), ("nf_conntrack_max", "node_nf_conntrack_entries_limit")]
    {
        if let Some(value) = optional(host.number(format!("proc/sys/net/netfilter/{file}")))? {
            page.put(name, &[], value);
        }
    }
    let Some(text) = optional(host.read("proc/net/stat/nf_conntrack"))? else { return Ok(()) };
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split_ascii_whitespace().collect()).collect();
    for name in TRACKED {
        let Some(column) = names.iter().position(|n| *n == name) else { continue };
        let hex = |row: &Vec<&str>| u64::from_str_radix(row.get(column)?, 16).ok();
        let all: u64 = rows.iter().filter_map(hex).sum();
        page.put(&format!("node_nf_conntrack_stat_{name}"), &[], all as f64);
    }
    Ok(())
}

/// Addresses of neighbours that are known, by device.
pub(super) fn neighbours(host: &Host, page: &mut Page) -> io::Result<()> {
    let mut by_device: BTreeMap<String, f64> = BTreeMap::new();
    for line in host.read("proc/net/arp")?.lines().skip(1) {
        if let Some(device) = line.split_ascii_whitespace().nth(5) {
            *by_device.entry(device.to_owned()).or_default() += 1.0;
        }
    }
    for (device, known) in by_device {
        page.put("node_arp_entries", &[("device", &device)], known);
    }
    Ok(())
}

/// Devices that are one for others: how many there are, and how many of them carry.
pub(super) fn bonds(host: &Host, page: &mut Page) -> io::Result<()> {
    let Some(masters) = optional(host.read("sys/class/net/bonding_masters"))? else { return Ok(()) };
    for master in masters.split_ascii_whitespace() {
        let slaves = host.read(format!("sys/class/net/{master}/bonding/slaves"))?;
        let (mut known, mut active) = (0.0, 0.0);
        for slave in slaves.split_ascii_whitespace() {
            known += 1.0;
            // Kernels before 3.18 call the link otherwise.
            let state = ["lower", "slave"].iter().find_map(|way| {
                host.read(format!("sys/class/net/{master}/{way}_{slave}/bonding_slave/mii_status")).ok()
            });
            if state.is_some_and(|state| state.trim() == "up") {
                active += 1.0;
            }
        }
        page.put("node_bonding_slaves", &[("master", master)], known);
        page.put("node_bonding_active", &[("master", master)], active);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let mut page = Page::default();
        softnet(text, &mut page);
        page.series().map(|(labels, value)| format!("{labels} {value}")).collect()
    }

    #[test]
    fn soft_interrupts_are_of_the_processor_that_is_named() {
        // The second processor is off.
        let text = "00015c73 00020e76 F0000769 00000000 00000000 00000000 00000000 00000000 00000001 00000002 00000003 \
                    00000004 00000000 00000000 00000000\n\
                    01663fb2 00000000 0000012a 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 \
                    00000000 00000002 00000000 00000000\n";
        let all = told(text);
        for line in [
            "node_softnet_processed_total{cpu=\"0\"} 89203",
            "node_softnet_dropped_total{cpu=\"0\"} 134774",
            "node_softnet_times_squeezed_total{cpu=\"0\"} 4026533737",
            "node_softnet_cpu_collision_total{cpu=\"0\"} 1",
            "node_softnet_received_rps_total{cpu=\"0\"} 2",
            "node_softnet_flow_limit_count_total{cpu=\"0\"} 3",
            "node_softnet_backlog_len{cpu=\"0\"} 4",
            "node_softnet_times_squeezed_total{cpu=\"2\"} 298",
        ] {
            assert!(all.iter().any(|one| one == line), "{line}: {all:?}");
        }
        assert_eq!(all.len(), 14, "{all:?}");
    }

    #[test]
    fn older_kernels_have_fewer_columns_and_name_no_processor() {
        let all = told("0a 1 2 0 0 0 0 0 3\n0b 0 0 0 0 0 0 0 0\n");
        assert_eq!(all.len(), 8, "{all:?}");
        assert!(all.contains(&"node_softnet_processed_total{cpu=\"1\"} 11".to_owned()), "{all:?}");
        assert!(all.contains(&"node_softnet_cpu_collision_total{cpu=\"0\"} 3".to_owned()), "{all:?}");
    }
}
