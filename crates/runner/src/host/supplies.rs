//! Power supplies, and errors of memory that its controllers corrected or could not correct.

use std::io;

use super::hardware::{entries, number_in, text_in};
use super::{Host, Page};

/// Files of a power supply, what node_exporter calls them, and how many are one of that.
const READINGS: [(&str, &str, f64); 49] = [
    ("authentic", "authentic", 1.0),
    ("calibrate", "calibrate", 1.0),
    ("capacity", "capacity", 1.0),
    ("capacity_alert_max", "capacity_alert_max", 1.0),
    ("capacity_alert_min", "capacity_alert_min", 1.0),
    ("cycle_count", "cyclecount", 1.0),
    ("online", "online", 1.0),
    ("present", "present", 1.0),
    ("time_to_empty_now", "time_to_empty_seconds", 1.0),
    ("time_to_full_now", "time_to_full_seconds", 1.0),
    ("current_boot", "current_boot", 1e6),
    ("current_max", "current_max", 1e6),
    ("current_now", "current_ampere", 1e6),
    ("energy_empty", "energy_empty", 1e6),
    ("energy_empty_design", "energy_empty_design", 1e6),
    ("energy_full", "energy_full", 1e6),
    ("energy_full_design", "energy_full_design", 1e6),
    ("energy_now", "energy_watthour", 1e6),
    ("voltage_boot", "voltage_boot", 1e6),
    ("voltage_max", "voltage_max", 1e6),
    ("voltage_max_design", "voltage_max_design", 1e6),
    ("voltage_min", "voltage_min", 1e6),
    ("voltage_min_design", "voltage_min_design", 1e6),
    ("voltage_now", "voltage_volt", 1e6),
    ("voltage_ocv", "voltage_ocv", 1e6),
    ("charge_control_limit", "charge_control_limit", 1e6),
    ("charge_control_limit_max", "charge_control_limit_max", 1e6),
    ("charge_counter", "charge_counter", 1e6),
    ("charge_empty", "charge_empty", 1e6),
    ("charge_empty_design", "charge_empty_design", 1e6),
    ("charge_full", "charge_full", 1e6),
    ("charge_full_design", "charge_full_design", 1e6),
    ("charge_now", "charge_ampere", 1e6),
    ("charge_term_current", "charge_term_current", 1e6),
    ("constant_charge_current", "constant_charge_current", 1e6),
    ("constant_charge_current_max", "constant_charge_current_max", 1e6),
    ("constant_charge_voltage", "constant_charge_voltage", 1e6),
    ("constant_charge_voltage_max", "constant_charge_voltage_max", 1e6),
    ("precharge_current", "precharge_current", 1e6),
    ("input_current_limit", "input_current_limit", 1e6),
    ("power_now", "power_watt", 1e6),
    ("temp", "temp_celsius", 10.0),
    ("temp_alert_max", "temp_alert_max_celsius", 10.0),
    ("temp_alert_min", "temp_alert_min_celsius", 10.0),
    ("temp_ambient", "temp_ambient_celsius", 10.0),
    ("temp_ambient_max", "temp_ambient_max_celsius", 10.0),
    ("temp_ambient_min", "temp_ambient_min_celsius", 10.0),
    ("temp_max", "temp_max_celsius", 10.0),
    ("temp_min", "temp_min_celsius", 10.0),
];
const TEXTS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

/// Batteries, and what feeds the host.
pub(super) fn power(host: &Host, page: &mut Page) -> io::Result<()> {
    for (name, folder) in entries(&host.path("sys/class/power_supply"))? {
        let labels = [("power_supply", name.as_str())];
        for (file, metric, unit) in READINGS {
            if let Some(value) = number_in(&folder.join(file)) {
                page.put(&format!("node_power_supply_{metric}"), &labels, value / unit);
            }
        }
        let texts = TEXTS.map(|file| (file, text_in(&folder.join(file))));
        let said = texts.iter().filter(|(_, text)| !text.is_empty()).map(|(file, text)| (*file, text.as_str()));
        let info: Vec<(&str, &str)> = labels.into_iter().chain(said).collect();
        page.put("node_power_supply_info", &info, 1.0);
    }
    Ok(())
}

/// Errors of memory, by its controller and by the row they are in, which the kernel does not always know.
pub(super) fn memory_errors(host: &Host, page: &mut Page) -> io::Result<()> {
    for (name, folder) in entries(&host.path("sys/devices/system/edac/mc"))? {
        let Some(controller) = numbered(&name, "mc") else { continue };
        for (kind, word) in [("ce", "correctable"), ("ue", "uncorrectable")] {
            let all = number_in(&folder.join(format!("{kind}_count")));
            let unknown = number_in(&folder.join(format!("{kind}_noinfo_count")));
            if let Some(count) = all {
                page.put(&format!("node_edac_{word}_errors_total"), &[("controller", controller)], count);
            }
            let of_row = format!("node_edac_csrow_{word}_errors_total");
            if let Some(count) = unknown {
                page.put(&of_row, &[("controller", controller), ("csrow", "unknown")], count);
            }
            for (row, folder) in entries(&folder)? {
                let Some(row) = numbered(&row, "csrow") else { continue };
                if let Some(count) = number_in(&folder.join(format!("{kind}_count"))) {
                    page.put(&of_row, &[("controller", controller), ("csrow", row)], count);
                }
            }
        }
    }
    Ok(())
}

/// `7` of `csrow7`.
fn numbered<'n>(name: &'n str, word: &str) -> Option<&'n str> {
    name.strip_prefix(word).filter(|number| number.parse::<u32>().is_ok())
}
