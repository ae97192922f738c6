//! Sensors, clocks of processors, software RAID and the system's release.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{Host, Page, numbers, odd, optional, read_text};

/// Entries of one folder of devices that are read: a folder lists them in no order, so that processors beyond it would be any.
const DEVICES_MAX: usize = 2_048;
const MILLI: f64 = 1e-3;
const MICRO: f64 = 1e-6;
const KHZ: f64 = 1e3;

/// What is in a folder, by name; a kernel without such devices has no folder.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let Some(read) = optional(std::fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let named = |entry: std::fs::DirEntry| Some((entry.file_name().into_string().ok()?, entry.path()));
    let mut all: Vec<_> = read.flatten().filter_map(named).take(DEVICES_MAX).collect();
    all.sort();
    Ok(all)
}

/// A file that holds one number; what cannot be read is left out, as a driver may refuse at any time.
pub(super) fn number_in(path: &Path) -> Option<f64> {
    read_text(path).ok()?.trim().parse().ok()
}

pub(super) fn text_in(path: &Path) -> String {
    read_text(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// `node_os_info` and `node_os_version`, of `/etc/os-release`.
pub(super) fn release(host: &Host, page: &mut Page) -> io::Result<()> {
    let text = match optional(host.read("etc/os-release"))? {
        Some(text) => text,
        None => host.read("usr/lib/os-release")?,
    };
    let read: BTreeMap<&str, String> = text
        .lines()
        .filter_map(|line| line.trim().split_once('='))
        .map(|(name, value)| (name, value.trim_matches(['"', '\'']).replace("\\\"", "\"")))
        .collect();
    let of = |name: &str| read.get(name).map_or("", String::as_str);
    let labels = [
        ("build_id", of("BUILD_ID")),
        ("id", of("ID")),
        ("id_like", of("ID_LIKE")),
        ("image_id", of("IMAGE_ID")),
        ("image_version", of("IMAGE_VERSION")),
        ("name", of("NAME")),
        ("pretty_name", of("PRETTY_NAME")),
        ("variant", of("VARIANT")),
        ("variant_id", of("VARIANT_ID")),
        ("version", of("VERSION")),
        ("version_codename", of("VERSION_CODENAME")),
        ("version_id", of("VERSION_ID")),
    ];
    page.put("node_os_info", &labels, 1.0);
    // `22.04.1` is 22.04.
    let plain = of("VERSION_ID").splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    if let Ok(version) = plain.parse::<f64>() {
        page.put("node_os_version", &[("id", of("ID")), ("id_like", of("ID_LIKE")), ("name", of("NAME"))], version);
    }
    Ok(())
}

/// Sensors of temperatures, fans, voltages, currents and power.
pub(super) fn sensors(host: &Host, page: &mut Page) -> io::Result<()> {
    let folders = entries(&host.path("sys/class/hwmon"))?;
    let chips: Vec<[String; 2]> =
        folders.iter().map(|(name, folder)| [chip(folder, name), clean(&text_in(&folder.join("name")))]).collect();
    for ((name, folder), own) in folders.iter().zip(&chips) {
        let [device, called] = own;
        // One device may have several: then what each is called tells them apart, or else its number.
        let is_shared = chips.iter().filter(|other| other[0] == *device).count() > 1;
        let is_called_alike = called.is_empty() || chips.iter().filter(|other| *other == own).count() > 1;
        let chip = match (is_shared, is_called_alike) {
            (false, _) => device.clone(),
            (true, true) => format!("{device}_{name}"),
            (true, false) => format!("{device}_{called}"),
        };
        if !called.is_empty() {
            page.put("node_hwmon_chip_names", &[("chip", &chip), ("chip_name", called)], 1.0);
        }
        // Older drivers have them with the device.
        let device = entries(&folder.join("device")).unwrap_or_default();
        for (file, path) in entries(folder)?.into_iter().chain(device) {
            sensor(&chip, &file, &path, page);
        }
    }
    Ok(())
}

/// The device behind it, which is called the same after a restart, other than the number of the folder.
fn chip(folder: &Path, name: &str) -> String {
    let part = |path: Option<&Path>| path.and_then(Path::file_name).map(|n| clean(&n.to_string_lossy()));
    if let Ok(device) = folder.join("device").canonicalize()
        && let Some(own) = part(Some(device.as_path())).filter(|own| !own.is_empty())
    {
        return match part(device.parent()).filter(|kind| !kind.is_empty()) {
            Some(kind) => format!("{kind}_{own}"),
            None => own,
        };
    }
    let called = clean(&text_in(&folder.join("name")));
    if called.is_empty() { name.to_owned() } else { called }
}

fn clean(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, ':' | '_') { c } else { '_' };
    name.to_ascii_lowercase().chars().map(plain).collect::<String>().trim_matches('_').to_owned()
}

const SENSORS: [&str; 10] = ["in", "cpu", "fan", "pwm", "temp", "curr", "power", "energy", "humidity", "intrusion"];

/// `temp1_input` is the value of the sensor `temp1`, `temp1_max` a bound of it, `temp1_label` its name.
fn sensor(chip: &str, file: &str, path: &Path, page: &mut Page) {
    let (sensor, property) = file.split_once('_').unwrap_or((file, ""));
    let kind = sensor.trim_end_matches(|c: char| c.is_ascii_digit());
    if kind.len() == sensor.len() || !SENSORS.contains(&kind) {
        return;
    }
    let labels = [("chip", chip), ("sensor", sensor)];
    if property == "label" {
        let label = text_in(path);
        page.put("node_hwmon_sensor_label", &[labels[0], ("label", &label), labels[1]], 1.0);
        return;
    }
    // As node_exporter has them, with the unit also of what is none, like `temp1_crit_alarm`.
    let (unit, factor) = match (kind, property) {
        (_, "fault" | "alarm") | ("temp", "type") => ("", 1.0),
        (_, "beep") => ("_enabled", 1.0),
        ("in" | "cpu", _) => ("_volts", MILLI),
        ("temp", _) => ("_celsius", MILLI),
        ("curr", _) => ("_amps", MILLI),
        ("energy", _) => ("_joule_total", MICRO),
        ("power", "accuracy") | ("humidity", _) => ("", MICRO),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => ("_seconds", MILLI),
        ("power", _) => ("_watt", MICRO),
        ("fan", "input" | "min" | "max" | "target") => ("_rpm", 1.0),
        _ => ("", 1.0),
    };
    let of = match property {
        "" | "input" => String::new(),
        other => format!("_{}", clean(other)),
    };
    if let Some(value) = number_in(path) {
        page.put(&format!("node_hwmon_{kind}{of}{unit}"), &labels, value * factor);
    }
}

/// Temperatures by zone, and how far what cools them is turned up.
pub(super) fn thermal_zones(host: &Host, page: &mut Page) -> io::Result<()> {
    for (name, folder) in entries(&host.path("sys/class/thermal"))? {
        let kind = text_in(&folder.join("type"));
        if let Some(zone) = name.strip_prefix("thermal_zone") {
            if let Some(milli) = number_in(&folder.join("temp")) {
                page.put("node_thermal_zone_temp", &[("type", &kind), ("zone", zone)], milli * MILLI);
            }
        } else if let Some(number) = name.strip_prefix("cooling_device") {
            for state in ["cur_state", "max_state"] {
                if let Some(value) = number_in(&folder.join(state)) {
                    let labels = [("name", number), ("type", kind.as_str())];
                    page.put(&format!("node_cooling_device_{state}"), &labels, value);
                }
            }
        }
    }
    Ok(())
}

/// How fast processors run, and between which bounds.
pub(super) fn frequencies(host: &Host, page: &mut Page) -> io::Result<()> {
    for (name, folder) in entries(&host.path("sys/devices/system/cpu"))? {
        let Some(cpu) = name.strip_prefix("cpu").filter(|n| n.parse::<u32>().is_ok()) else { continue };
        for (file, metric) in [
            ("scaling_cur_freq", "node_cpu_scaling_frequency_hertz"),
            ("scaling_min_freq", "node_cpu_scaling_frequency_min_hertz"),
            ("scaling_max_freq", "node_cpu_scaling_frequency_max_hertz"),
            ("cpuinfo_min_freq", "node_cpu_frequency_min_hertz"),
            ("cpuinfo_max_freq", "node_cpu_frequency_max_hertz"),
        ] {
            if let Some(khz) = number_in(&folder.join("cpufreq").join(file)) {
                page.put(metric, &[("cpu", cpu)], khz * KHZ);
            }
        }
    }
    Ok(())
}

/// How long programs ran and waited for each processor.
pub(super) fn run_queues(host: &Host, page: &mut Page) -> io::Result<()> {
    let Some(text) = optional(host.read("proc/schedstat"))? else { return Ok(()) };
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let cpu = fields.next().and_then(|name| name.strip_prefix("cpu")).filter(|cpu| !cpu.is_empty());
        let values = numbers(fields);
        let (Some(cpu), Some(&[running, waiting, slices])) = (cpu, values.get(6..9)) else { continue };
        let labels = [("cpu", cpu)];
        page.put("node_schedstat_running_seconds_total", &labels, running / 1e9);
        page.put("node_schedstat_waiting_seconds_total", &labels, waiting / 1e9);
        page.put("node_schedstat_timeslices_total", &labels, slices);
    }
    Ok(())
}

/// An array of `/proc/mdstat`.
#[derive(Debug, Default)]
struct Array {
    device: String,
    active: bool,
    /// What is under way or waits; "" for nothing.
    doing: &'static str,
    in_use: f64,
    required: f64,
    failed: f64,
    spare: f64,
    down: f64,
    blocks: f64,
    synced: f64,
}

const MD_STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];
/// What the kernel says that an array does, and the state that it is then in. As with node_exporter, one that takes another
/// shape is in none of them.
const MD_DOING: [(&str, &str); 4] =
    [("recovery", "recovering"), ("resync", "resync"), ("check", "check"), ("reshape", "reshape")];

/// Software RAID.
pub(super) fn arrays(host: &Host, page: &mut Page) -> io::Result<()> {
    let Some(text) = optional(host.read("proc/mdstat"))? else { return Ok(()) };
    for array in read_arrays(&text)? {
        let device = array.device.as_str();
        let state = match (array.doing, array.active) {
            ("", true) => "active",
            ("", false) => "inactive",
            (doing, _) => doing,
        };
        for name in MD_STATES {
            page.put("node_md_state", &[("device", device), ("state", name)], f64::from(u8::from(name == state)));
        }
        for (name, count) in
            [("active", array.in_use), ("failed", array.failed), ("spare", array.spare), ("down", array.down)]
        {
            page.put("node_md_disks", &[("device", device), ("state", name)], count);
        }
        let labels = [("device", device)];
        page.put("node_md_disks_required", &labels, array.required);
        page.put("node_md_blocks", &labels, array.blocks);
        page.put("node_md_blocks_synced", &labels, array.synced);
        let folder = host.path(format!("sys/block/{device}/md"));
        // `11 (10)` while it grows.
        if let Some(disks) = text_in(&folder.join("raid_disks")).split(' ').next().and_then(|n| n.parse::<f64>().ok()) {
            page.put("node_md_raid_disks", &labels, disks);
            page.put("node_md_degraded", &labels, number_in(&folder.join("degraded")).unwrap_or(0.0));
        }
    }
    Ok(())
}

fn read_arrays(text: &str) -> io::Result<Vec<Array>> {
    let mut all: Vec<Array> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some((device, rest)) = line.split_once(" : ").filter(|(device, _)| !device.contains(' ')) {
            inside = device != "Personalities" && !device.starts_with("unused");
            if inside {
                all.push(array(device, rest));
            }
        } else if line.trim().is_empty() {
            inside = false;
        } else if inside {
            detail(all.last_mut().ok_or_else(|| odd("an array"))?, line);
        }
    }
    for array in &mut all {
        if array.doing.is_empty() {
            array.synced = array.blocks;
        }
        if !array.active {
            (array.in_use, array.required, array.down) = (0.0, 0.0, 0.0);
        }
    }
    Ok(all)
}

/// `md0 : active raid1 sdb1[1] sda1[0](F)`.
fn array(device: &str, rest: &str) -> Array {
    let members: Vec<&str> = rest.split_ascii_whitespace().filter(|field| field.contains('[')).collect();
    let marked = |mark: &str| members.iter().filter(|member| member.contains(mark)).count() as f64;
    let (failed, spare) = (marked("(F)"), marked("(S)"));
    let in_use = members.len() as f64 - failed - spare;
    let active = rest.split_ascii_whitespace().next() == Some("active");
    Array { device: device.to_owned(), active, in_use, required: in_use, failed, spare, ..Array::default() }
}

/// `1046528 blocks super 1.2 [2/1] [U_]`, and what it is doing: `[==>...]  recovery = 12.6% (131840/1046528) ...`, or
/// `resync=DELAYED`, with nothing done yet.
fn detail(array: &mut Array, line: &str) {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if fields.get(1) == Some(&"blocks") {
        array.blocks = fields[0].parse().unwrap_or(0.0);
        for field in fields.iter().filter_map(|f| f.strip_prefix('[')?.strip_suffix(']')) {
            if let Some((required, in_use)) = field.split_once('/') {
                array.required = required.parse().unwrap_or(0.0);
                array.in_use = in_use.parse().unwrap_or(0.0);
            } else if !field.is_empty() && field.chars().all(|c| matches!(c, 'U' | '_')) {
                array.down = field.chars().filter(|c| *c == '_').count() as f64;
            }
        }
        return;
    }
    for (word, state) in MD_DOING {
        if fields.iter().any(|field| field.split('=').next() == Some(word)) {
            array.doing = state;
        }
    }
    let done = fields.iter().find_map(|f| f.strip_prefix('(')?.strip_suffix(')')?.split_once('/'));
    if let Some((done, _)) = done {
        array.synced = done.parse().unwrap_or(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_say_what_they_lack() {
        let text = "Personalities : [raid1] [raid0]\n\
                    md1 : active raid1 sdc1[2](S) sdb1[1](F) sda1[0]\n      1046528 blocks super 1.2 [2/1] [U_]\n      \
                    [==>..........]  recovery = 12.6% (131840/1046528) finish=0.5min speed=26368K/sec\n\n\
                    md0 : active raid0 sdd1[0] sde1[1]\n      2093056 blocks super 1.2 512k chunks\n\n\
                    md9 : inactive sdf1[0]\n      100 blocks\n\nunused devices: <none>\n";
        let arrays = read_arrays(text).expect("it is read");
        let told: Vec<_> = arrays
            .iter()
            .map(|a| (a.device.as_str(), a.active, a.doing, [a.in_use, a.required, a.failed, a.spare, a.down]))
            .collect();
        assert_eq!(
            told,
            [
                ("md1", true, "recovering", [1.0, 2.0, 1.0, 1.0, 1.0]),
                ("md0", true, "", [2.0, 2.0, 0.0, 0.0, 0.0]),
                ("md9", false, "", [0.0, 0.0, 0.0, 0.0, 0.0]),
            ]
        );
        assert_eq!(
            arrays.iter().map(|a| (a.blocks, a.synced)).collect::<Vec<_>>(),
            [(1_046_528.0, 131_840.0), (2_093_056.0, 2_093_056.0), (100.0, 100.0)]
        );
    }

    #[test]
    fn an_array_is_in_one_state() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |below: &str, text: &str| {
            let path = root.path().join(below);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
            std::fs::write(path, text).expect("it is written");
        };
        let array = |name: &str, doing: &str| {
            format!("{name} : active raid1 sda[0] sdb[1]\n      1000 blocks super 1.2 [2/2] [UU]\n      {doing}\n\n")
        };
        let bar = "[=>...................]  ";
        let doing = [
            ("md0", String::new(), "active", 1_000.0),
            ("md1", format!("{bar}recovery =  8.5% (85/1000) finish=17.0min speed=259K/sec"), "recovering", 85.0),
            ("md2", format!("{bar}resync =  0.1% (1/1000) finish=17.0min speed=259K/sec"), "resync", 1.0),
            ("md3", format!("{bar}check =  5.7% (57/1000) finish=0.2min speed=1K/sec"), "check", 57.0),
            ("md4", "resync=DELAYED".to_owned(), "resync", 0.0),
            ("md5", "\tresync=PENDING".to_owned(), "resync", 0.0),
            ("md6", format!("{bar}reshape =  2.0% (20/1000) finish=17.0min speed=259K/sec"), "none of them", 20.0),
            ("md7", "bitmap: 0/30 pages [0KB], 65536KB chunk".to_owned(), "active", 1_000.0),
        ];
        write("proc/mdstat", &doing.iter().map(|(name, line, ..)| array(name, line)).collect::<String>());
        write("sys/block/md1/md/raid_disks", "2\n");
        write("sys/block/md1/md/degraded", "1\n");
        write("sys/block/md6/md/raid_disks", "11 (10)\n");
        let mut page = Page::default();
        arrays(&Host::at(root.path()), &mut page).expect("it is read");
        for (name, line, state, synced) in &doing {
            let is = |state: &str| page.get("node_md_state", &[("device", name), ("state", state)]);
            for one in MD_STATES {
                assert_eq!(is(one), Some(f64::from(u8::from(one == *state))), "{name} {one}: {line}");
            }
            assert_eq!(page.get("node_md_blocks_synced", &[("device", name)]), Some(*synced), "{line}");
        }
        let told = |metric: &str, device: &str| page.get(metric, &[("device", device)]);
        assert_eq!((told("node_md_raid_disks", "md1"), told("node_md_degraded", "md1")), (Some(2.0), Some(1.0)));
        assert_eq!((told("node_md_raid_disks", "md6"), told("node_md_degraded", "md6")), (Some(11.0), Some(0.0)));
        assert_eq!(told("node_md_degraded", "md0"), None);
    }

    #[test]
    fn sensors_have_the_names_of_their_kinds() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut page = Page::default();
        for (file, text) in [
            ("temp1_input", "45500\n"),
            ("temp1_crit", "100000"),
            ("temp1_crit_hyst", "95000"),
            ("temp1_crit_alarm", "0"),
            ("temp1_fault", "1"),
            ("fan2_input", "1200"),
            ("fan2_alarm", "1"),
            ("pwm2", "128"),
            ("energy1_input", "3000000"),
            ("hwmon4", "1"),
            ("in0_input", "3300"),
            ("power1_average", "2500000"),
            ("temp1_label", "Core 0\n"),
            ("name", "coretemp"),
            ("temp9_input", "hot"),
        ] {
            let path = dir.path().join(file);
            std::fs::write(&path, text).expect("it is written");
            sensor("platform_coretemp_0", file, &path, &mut page);
        }
        let of = |sensor: &'static str| [("chip", "platform_coretemp_0"), ("sensor", sensor)];
        for (name, sensor, value) in [
            ("node_hwmon_temp_celsius", "temp1", 45.5),
            ("node_hwmon_temp_crit_celsius", "temp1", 100.0),
            ("node_hwmon_temp_crit_hyst_celsius", "temp1", 95.0),
            ("node_hwmon_temp_crit_alarm_celsius", "temp1", 0.0),
            ("node_hwmon_temp_fault", "temp1", 1.0),
            ("node_hwmon_fan_rpm", "fan2", 1200.0),
            ("node_hwmon_fan_alarm", "fan2", 1.0),
            ("node_hwmon_pwm", "pwm2", 128.0),
            ("node_hwmon_energy_joule_total", "energy1", 3.0),
            ("node_hwmon_in_volts", "in0", 3.3),
            ("node_hwmon_power_average_watt", "power1", 2.5),
        ] {
            let told = page.get(name, &of(sensor)).unwrap_or(f64::NAN);
            assert!((told - value).abs() < 1e-9, "{name}: {told}");
        }
        let [chip, sensor] = of("temp1");
        assert_eq!(page.get("node_hwmon_sensor_label", &[chip, ("label", "Core 0"), sensor]), Some(1.0));
        assert_eq!(page.get("node_hwmon_temp_celsius", &of("temp9")), None);
        assert_eq!(clean("coretemp.0"), "coretemp_0");
    }

    #[test]
    fn chips_of_one_device_are_told_apart() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |below: &str, text: &str| {
            let path = root.path().join(below);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
            std::fs::write(path, text).expect("it is written");
        };
        let class = root.path().join("sys/class/hwmon");
        for (number, device, name, fan) in
            [(0, "wmi", "asus", "1"), (1, "wmi", "asus-ec", "2"), (2, "amd", "k10", "3"), (3, "amd", "k10", "4")]
        {
            write(&format!("sys/class/hwmon/hwmon{number}/name"), name);
            write(&format!("sys/class/hwmon/hwmon{number}/fan1_input"), fan);
            write(&format!("sys/devices/platform/{device}/temp1_input"), "5000");
            let link = class.join(format!("hwmon{number}/device"));
            std::os::unix::fs::symlink(root.path().join("sys/devices/platform").join(device), link).expect("a link");
        }
        write("sys/class/thermal/cooling_device7/type", "Processor\n");
        write("sys/class/thermal/cooling_device7/cur_state", "2\n");
        write("sys/class/thermal/cooling_device7/max_state", "10\n");
        let (mut page, host) = (Page::default(), Host::at(root.path()));
        sensors(&host, &mut page).expect("it is read");
        for (chip, called, fan) in [
            ("platform_wmi_asus", "asus", 1.0),
            ("platform_wmi_asus_ec", "asus_ec", 2.0),
            ("platform_amd_hwmon2", "k10", 3.0),
            ("platform_amd_hwmon3", "k10", 4.0),
        ] {
            assert_eq!(page.get("node_hwmon_fan_rpm", &[("chip", chip), ("sensor", "fan1")]), Some(fan), "{chip}");
            assert_eq!(
                page.get("node_hwmon_chip_names", &[("chip", chip), ("chip_name", called)]),
                Some(1.0),
                "{chip}"
            );
            // It lies with the device.
            assert_eq!(
                page.get("node_hwmon_temp_celsius", &[("chip", chip), ("sensor", "temp1")]),
                Some(5.0),
                "{chip}"
            );
        }
        thermal_zones(&host, &mut page).expect("it is read");
        let labels = [("name", "7"), ("type", "Processor")];
        let states = ["cur", "max"].map(|s| page.get(&format!("node_cooling_device_{s}_state"), &labels));
        assert_eq!(states, [Some(2.0), Some(10.0)]);
    }
}
