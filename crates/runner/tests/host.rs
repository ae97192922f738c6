//! What an agent says of its host, beside Debian's node_exporter on the same machine, and in a folder laid out like a host.
//! The first part is skipped in one line when `prometheus-node-exporter` is not installed.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tenfold_protocols::agent::METRICS_BYTES_MAX;
use tenfold_protocols::prom_text::{self, Format};
use tenfold_runner::host::{Group, Host, Page};
use tenfold_testkit::TestClock;
use tenfold_types::Labels;

const EXPORTER: &str = "prometheus-node-exporter";
const PATIENCE: Duration = Duration::from_secs(20);

/// Ended with the test.
struct Exporter {
    child: Child,
    address: String,
}

impl Exporter {
    fn start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let started = Command::new(EXPORTER)
            .arg(format!("--web.listen-address={free}"))
            .args(["--web.disable-exporter-metrics", "--collector.processes"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            started => started.unwrap(),
        };
        Some(Self { child, address: free.to_string() })
    }

    fn page(&self) -> prom_text::Page {
        let until = Instant::now() + PATIENCE;
        let mut stream = loop {
            match TcpStream::connect(&self.address) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
        };
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        prom_text::parse(answer.split_once("\r\n\r\n").unwrap().1, Format::default()).unwrap()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Parts that node_exporter has and the agent has not: drivers, clocks and classes that few dashboards ask for.
const NOT_TOLD: &[&str] = &[
    "node_bonding_",
    "node_cooling_device_",
    "node_cpu_core_",
    "node_cpu_frequency_",
    "node_cpu_online",
    "node_cpu_package_",
    "node_cpu_scaling_",
    "node_disk_ata_",
    "node_disk_device_mapper_",
    "node_disk_filesystem_",
    "node_disk_info",
    "node_dmi_",
    "node_exporter_",
    "node_hwmon_",
    "node_md_",
    "node_memory_numa_",
    "node_network_",
    "node_nf_conntrack_stat_",
    "node_nfs",
    "node_nvme_",
    "node_power_supply_",
    "node_processes_threads_state",
    "node_rapl_",
    "node_scrape_collector_",
    "node_selinux_",
    "node_softnet_",
    "node_systemd_",
    "node_textfile_",
    "node_thermal_zone_",
    "node_time_",
    "node_timex_",
    "node_xfs_",
    "node_zfs_",
    "node_btrfs_",
    "node_vmstat_",
];
/// Told although their family is not, or in part.
const TOLD: &[&str] = &[
    "node_network_receive_bytes_total",
    "node_network_receive_packets_total",
    "node_network_receive_errs_total",
    "node_network_receive_drop_total",
    "node_network_transmit_bytes_total",
    "node_network_transmit_packets_total",
    "node_network_transmit_errs_total",
    "node_network_transmit_drop_total",
    "node_network_up",
    "node_network_mtu_bytes",
    "node_softnet_processed_total",
    "node_softnet_dropped_total",
    "node_vmstat_pgfault",
    "node_vmstat_oom_kill",
];

fn is_wanted(name: &str) -> bool {
    name.starts_with("node_") && (TOLD.contains(&name) || !NOT_TOLD.iter().any(|prefix| name.starts_with(prefix)))
}

/// Gauges that move between two looks by more than a counter does, and a state that few processes are in.
fn is_restless(name: &str) -> bool {
    ["procs_running", "procs_blocked", "io_now", "processes_state", "sockstat_TCP_", "sockstat_UDP_", "udp_queues"]
        .iter()
        .any(|part| name.contains(part))
}

#[test]
fn node_exporter_says_the_same() {
    let Some(exporter) = Exporter::start() else {
        tenfold_testkit::peer_is_missing(format_args!("{EXPORTER} is not installed"));
        return;
    };
    exporter.page();
    let theirs = exporter.page();
    let ours = prom_text::parse(
        &Host::default().collect(&[], &TestClock::default()).text(METRICS_BYTES_MAX).text,
        Format::default(),
    )
    .unwrap();
    let ours: BTreeMap<Labels, f64> = ours.samples.into_iter().map(|s| (s.labels, s.value)).collect();
    let (mut missing, mut apart, mut same) = (BTreeSet::new(), Vec::new(), 0);
    for sample in theirs.samples {
        let name = sample.labels.metric_name().unwrap().to_owned();
        if !is_wanted(&name) {
            continue;
        }
        match ours.get(&sample.labels) {
            None if is_restless(&name) => {}
            None => {
                missing.insert(sample.labels.to_string());
            }
            // Between the two looks counters went on, and memory is taken and given back.
            Some(value) if !is_restless(&name) && (value - sample.value).abs() > 0.2 * sample.value.abs() + 200e6 => {
                apart.push(format!("{}: theirs {}, ours {value}", sample.labels, sample.value));
            }
            Some(_) => same += 1,
        }
    }
    assert!(missing.is_empty(), "node_exporter tells {} series more: {missing:#?}", missing.len());
    assert!(apart.is_empty(), "{apart:#?}");
    assert!(same > 200, "only {same} series were compared");
    println!("{same} series as node_exporter has them");
}

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn look(root: &Path, groups: &[Group]) -> Page {
    Host::at(root).collect(groups, &TestClock::default())
}

#[test]
fn a_host_is_read_from_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, "proc/stat", "cpu  9 9 9\ncpu0 100 20 30 4000 50 6 7 8 9 1\nctxt 77\nbtime 1700000000\nprocesses 5\n");
    write(root, "proc/loadavg", "0.50 1.25 2.00 1/100 4242\n");
    write(root, "proc/meminfo", "MemTotal:  1000 kB\nActive(anon):  5 kB\nHugePages_Total:  3\n");
    write(root, "proc/diskstats", "   8 0 sda 10 1 200 30 4 5 600 70 0 80 90 1 2 3 4 5 6\n   8 1 sda1 1 1 1 1\n");
    write(root, "proc/pressure/memory", "some avg10=0.00 total=1500000\nfull avg10=0.00 total=500000\n");
    write(root, "proc/pressure/cpu", "some avg10=0.00 total=2000000\nfull avg10=0.00 total=9\n");
    write(root, "proc/pressure/io", "some avg10=0.00 total=0\nfull avg10=0.00 total=0\n");
    write(root, "proc/net/dev", "Inter-|\n face |\n  eth0: 1000 10 1 2 0 0 0 3 2000 20 0 0 0 0 0 0\n");
    write(root, "proc/net/snmp", "Tcp: ActiveOpens CurrEstab\nTcp: 12 3\n");
    write(root, "proc/net/netstat", "TcpExt: ListenDrops\nTcpExt: 4\n");
    write(root, "proc/pressure/irq", "full avg10=0.00 total=250000\n");
    write(root, "proc/schedstat", "version 15\ncpu0 0 0 0 0 0 0 3000000000 500000000 42\ndomain0 f 1\n");
    write(
        root,
        "proc/net/arp",
        "IP address HW type Flags HW address Mask Device\n10.0.0.1 0x1 0x2 aa * eth0\n10.0.0.2 0x1 0x2 ab * eth0\n",
    );
    write(
        root,
        "proc/net/stat/nf_conntrack",
        "entries  searched found invalid drop\n0000000a  0 00000010 1 00000002\n0000000a  0 0 2 00000001\n",
    );
    write(root, "etc/os-release", "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"13\"\n# no name\n");
    write(root, "sys/class/thermal/thermal_zone0/temp", "48000\n");
    write(root, "sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
    write(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2400000\n");
    write(root, "sys/devices/system/cpu/cpufreq/policy0", "");
    write(root, "sys/class/net/bonding_masters", "bond0\n");
    write(root, "sys/class/net/bond0/bonding/slaves", "eth0 eth1\n");
    write(root, "sys/class/net/bond0/lower_eth0/bonding_slave/mii_status", "up\n");
    write(root, "sys/class/net/bond0/slave_eth1/bonding_slave/mii_status", "down\n");
    write(root, "sys/class/net/bond0/operstate", "up\n");
    write(root, "sys/class/net/bond0/flags", "0x1403\n");
    write(root, "sys/class/net/bond0/address", "aa:bb\n");
    write(root, "sys/class/hwmon/hwmon3/name", "coretemp\n");
    write(root, "sys/class/hwmon/hwmon3/temp1_input", "45000\n");
    write(root, "sys/class/net/bond0/statistics/rx_nohandler", "6\n");
    let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let socket =
        |queues: &str| format!("  9: 0100007F:1FBD 00000000:0000 07 {queues} 00:00000000 00000000 0 0 7 2 0 0\n");
    let all = [head.to_owned(), socket("00000010:00000F00"), socket("00000000:00000100")].concat();
    write(root, "proc/net/udp", &all);
    let battery = "sys/class/power_supply/BAT0";
    for (file, text) in [("online", "1"), ("energy_now", "23000000"), ("status", "Discharging"), ("type", "Battery")] {
        write(root, &format!("{battery}/{file}"), &format!("{text}\n"));
    }
    let controller = "sys/devices/system/edac/mc/mc0";
    for (file, text) in [("ce_count", "5"), ("ce_noinfo_count", "1"), ("ue_count", "2"), ("csrow3/ce_count", "4")] {
        write(root, &format!("{controller}/{file}"), &format!("{text}\n"));
    }
    write(root, "proc/cgroups", "#subsys_name hierarchy num_cgroups enabled\ncpu 0 7 1\n");
    let group = "sys/fs/cgroup/system.slice/photos.service";
    write(root, "sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    let cpu = "usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_periods 40\nnr_throttled 10\n";
    write(root, &format!("{group}/cpu.stat"), cpu);
    write(root, &format!("{group}/memory.current"), "5000\n");
    write(root, &format!("{group}/memory.stat"), "anon 1\ninactive_file 1000\n");
    write(root, &format!("{group}/memory.max"), "max\n");
    write(root, &format!("{group}/io.stat"), "8:0 rbytes=10 wbytes=20\n8:16 rbytes=1 wbytes=2\n");
    let stat = |pid: i32, group: i32, ticks: u32| {
        format!("{pid} (web (1)) S 1 {group} {group} 0 -1 0 0 0 0 0 {ticks} 50 0 0 20 0 2 0 {pid}00 8192 1 0\n")
    };
    for (pid, in_group, ticks) in [(10, 10, 100), (11, 10, 200), (12, 12, 900)] {
        write(root, &format!("proc/{pid}/stat"), &stat(pid, in_group, ticks));
    }
    write(root, "proc/10/io", "read_bytes: 4096\nwrite_bytes: 512\n");
    write(root, "proc/10/fd/0", "");
    write(root, "proc/sys/kernel/pid_max", "32768\n");
    write(root, "proc/sys/kernel/threads-max", "1000\n");

    let page = look(root, &[Group { service: "photos".into(), id: 10 }, Group { service: "idle".into(), id: 99 }]);
    let photos = [("groupname", "photos"), ("service", "photos")];
    let with = |name: &'static str, value: &'static str| vec![photos[0], photos[1], (name, value)];
    let id = [("id", "/system.slice/photos.service")];
    for (name, labels, value) in [
        ("node_cpu_seconds_total", vec![("cpu", "0"), ("mode", "iowait")], 0.5),
        ("node_cpu_guest_seconds_total", vec![("cpu", "0"), ("mode", "user")], 0.09),
        ("node_context_switches_total", vec![], 77.0),
        ("node_load5", vec![], 1.25),
        ("node_memory_MemTotal_bytes", vec![], 1_024_000.0),
        ("node_memory_Active_anon_bytes", vec![], 5_120.0),
        ("node_memory_HugePages_Total", vec![], 3.0),
        ("node_disk_read_bytes_total", vec![("device", "sda")], 102_400.0),
        ("node_disk_io_time_seconds_total", vec![("device", "sda")], 0.08),
        ("node_pressure_memory_stalled_seconds_total", vec![], 0.5),
        ("node_pressure_cpu_waiting_seconds_total", vec![], 2.0),
        ("node_network_receive_multicast_total", vec![("device", "eth0")], 3.0),
        ("node_network_transmit_bytes_total", vec![("device", "eth0")], 2000.0),
        ("node_netstat_Tcp_CurrEstab", vec![], 3.0),
        ("node_netstat_TcpExt_ListenDrops", vec![], 4.0),
        ("node_cgroups_cgroups", vec![("subsys_name", "cpu")], 7.0),
        ("container_cpu_usage_seconds_total", id.to_vec(), 3.0),
        ("container_cpu_cfs_periods_total", id.to_vec(), 40.0),
        ("container_cpu_cfs_throttled_periods_total", id.to_vec(), 10.0),
        ("container_memory_working_set_bytes", id.to_vec(), 4_000.0),
        ("container_spec_memory_limit_bytes", id.to_vec(), 0.0),
        ("container_fs_writes_bytes_total", id.to_vec(), 22.0),
        ("node_processes_pids", vec![], 3.0),
        ("node_processes_threads", vec![], 6.0),
        ("namedprocess_namegroup_num_procs", photos.to_vec(), 2.0),
        ("namedprocess_namegroup_cpu_seconds_total", with("mode", "user"), 3.0),
        ("namedprocess_namegroup_memory_bytes", with("memtype", "virtual"), 16_384.0),
        ("namedprocess_namegroup_open_filedesc", photos.to_vec(), 1.0),
        ("namedprocess_namegroup_read_bytes_total", photos.to_vec(), 4_096.0),
        ("namedprocess_namegroup_oldest_start_time_seconds", photos.to_vec(), 1_700_000_010.0),
        ("namedprocess_namegroup_num_procs", vec![("groupname", "idle"), ("service", "idle")], 0.0),
        ("node_pressure_irq_stalled_seconds_total", vec![], 0.25),
        ("node_schedstat_waiting_seconds_total", vec![("cpu", "0")], 0.5),
        ("node_schedstat_timeslices_total", vec![("cpu", "0")], 42.0),
        ("node_arp_entries", vec![("device", "eth0")], 2.0),
        ("node_nf_conntrack_stat_found", vec![], 16.0),
        ("node_nf_conntrack_stat_drop", vec![], 3.0),
        ("node_os_info", vec![("id", "debian"), ("name", "Debian GNU/Linux"), ("version_id", "13")], 1.0),
        ("node_os_version", vec![("id", "debian"), ("name", "Debian GNU/Linux")], 13.0),
        ("node_thermal_zone_temp", vec![("type", "x86_pkg_temp"), ("zone", "0")], 48.0),
        ("node_cpu_scaling_frequency_hertz", vec![("cpu", "0")], 2.4e9),
        ("node_bonding_slaves", vec![("master", "bond0")], 2.0),
        ("node_bonding_active", vec![("master", "bond0")], 1.0),
        (
            "node_network_info",
            vec![("address", "aa:bb"), ("adminstate", "up"), ("device", "bond0"), ("operstate", "up")],
            1.0,
        ),
        ("node_hwmon_chip_names", vec![("chip", "coretemp"), ("chip_name", "coretemp")], 1.0),
        ("node_hwmon_temp_celsius", vec![("chip", "coretemp"), ("sensor", "temp1")], 45.0),
        ("node_network_receive_nohandler_total", vec![("device", "bond0")], 6.0),
        ("node_udp_queues", vec![("ip", "v4"), ("queue", "tx")], 16.0),
        ("node_udp_queues", vec![("ip", "v4"), ("queue", "rx")], 4_096.0),
        ("node_power_supply_online", vec![("power_supply", "BAT0")], 1.0),
        ("node_power_supply_energy_watthour", vec![("power_supply", "BAT0")], 23.0),
        ("node_power_supply_info", vec![("power_supply", "BAT0"), ("status", "Discharging"), ("type", "Battery")], 1.0),
        ("node_edac_correctable_errors_total", vec![("controller", "0")], 5.0),
        ("node_edac_uncorrectable_errors_total", vec![("controller", "0")], 2.0),
        ("node_edac_csrow_correctable_errors_total", vec![("controller", "0"), ("csrow", "unknown")], 1.0),
        ("node_edac_csrow_correctable_errors_total", vec![("controller", "0"), ("csrow", "3")], 4.0),
        ("node_scrape_collector_success", vec![("collector", "cpu")], 1.0),
        // Nothing was laid out for it.
        ("node_scrape_collector_success", vec![("collector", "softnet")], 0.0),
    ] {
        assert_eq!(page.get(name, &labels), Some(value), "{name} {labels:?}");
    }
    assert_eq!(page.get("node_disk_reads_completed_total", &[("device", "sda1")]), None);
    assert_eq!(page.get("node_network_up", &[("device", "bonding_masters")]), None);
    assert_eq!(page.get("node_pressure_cpu_stalled_seconds_total", &[]), None);
}

#[test]
fn a_host_of_many_processors_is_told_whole() {
    const PROCESSORS: usize = 256;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let of_each = |line: &dyn Fn(usize) -> String| (0..PROCESSORS).map(line).collect::<String>();
    write(root, "proc/stat", &of_each(&|cpu| format!("cpu{cpu} 1 2 3 4 5 6 7 8 9 1\n")));
    write(root, "proc/schedstat", &of_each(&|cpu| format!("cpu{cpu} 0 0 0 0 0 0 1 2 3\n")));
    write(root, "proc/net/softnet_stat", &of_each(&|_| "0a 0 1 0\n".to_owned()));
    for cpu in 0..PROCESSORS {
        for file in ["scaling_cur_freq", "scaling_min_freq", "scaling_max_freq", "cpuinfo_min_freq", "cpuinfo_max_freq"]
        {
            write(root, &format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/{file}"), "2000000\n");
        }
        // Such a folder holds more than processors.
        write(root, &format!("sys/devices/system/cpu/other{cpu}"), "");
    }
    write(root, "proc/meminfo", "MemTotal: 1000 kB\n");
    let page = look(root, &[Group { service: "photos".into(), id: 10 }]);
    let told = page.text(METRICS_BYTES_MAX);
    assert!(told.text.contains("\ntenfold_agent_series_dropped 0\n"), "nothing is left out");
    for cpu in (0..PROCESSORS).map(|cpu| cpu.to_string()) {
        assert_eq!(page.get("node_cpu_scaling_frequency_hertz", &[("cpu", &cpu)]), Some(2e9), "{cpu}");
        assert_eq!(page.get("node_softnet_processed_total", &[("cpu", &cpu)]), Some(10.0), "{cpu}");
    }
}

#[test]
fn what_the_kernel_might_write_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        "proc/stat",
        "proc/loadavg",
        "proc/vmstat",
        "proc/pressure/cpu",
        "proc/sys/fs/file-nr",
        "proc/meminfo",
        "proc/diskstats",
        "proc/self/mounts",
        "proc/net/dev",
        "proc/net/snmp",
        "proc/net/netstat",
        "proc/net/snmp6",
        "proc/net/sockstat",
        "proc/net/softnet_stat",
        "proc/cgroups",
        "proc/schedstat",
        "proc/mdstat",
        "proc/net/arp",
        "proc/net/stat/nf_conntrack",
        "etc/os-release",
        "sys/class/hwmon/hwmon0/temp1_input",
        "sys/class/power_supply/BAT0/energy_now",
        "sys/devices/system/edac/mc/mc0/ce_count",
        "proc/net/udp",
        "sys/class/net/eth0/flags",
        "proc/1/stat",
    ];
    for text in
        ["", "\n", ":", "cpu", "a b c", "x: y\nx: z", "-1", "\u{0}\u{fffd}", "1 (", ") S", "99999999999999999999"]
    {
        for file in files {
            write(dir.path(), file, text);
        }
        let page = look(dir.path(), &[Group { service: "photos".into(), id: 1 }]);
        prom_text::parse(&page.text(METRICS_BYTES_MAX).text, Format::default()).unwrap();
    }
}
