//! Grafana's units and ours.

/// The unit here, and what brings a value into it.
pub(super) fn unit(told: &str) -> (&'static str, &'static str) {
    match told {
        "ops" | "reqps" | "rps" | "wps" | "iops" | "cps" | "pps" | "eps" | "mps" | "recps" => ("ops", ""),
        "opm" | "rpm" | "wpm" => ("ops", " / 60"),
        "percentunit" => ("ratio", ""),
        "percent" => ("ratio", " / 100"),
        "s" | "dtdurations" | "dthms" | "dtdhms" | "clocks" => ("seconds", ""),
        "ms" | "dtdurationms" | "clockms" => ("seconds", " / 1000"),
        "µs" | "us" => ("seconds", " / 1e6"),
        "ns" => ("seconds", " / 1e9"),
        "m" => ("seconds", " * 60"),
        "h" => ("seconds", " * 3600"),
        "d" => ("seconds", " * 86400"),
        // SNMP's hundredths of a second.
        "timeticks" => ("seconds", " / 100"),
        "bytes" | "decbytes" => ("bytes", ""),
        "bits" | "decbits" => ("bytes", " / 8"),
        "kbytes" => ("bytes", " * 1024"),
        "deckbytes" => ("bytes", " * 1000"),
        "mbytes" => ("bytes", " * 1048576"),
        "decmbytes" => ("bytes", " * 1e6"),
        "gbytes" => ("bytes", " * 1073741824"),
        "decgbytes" => ("bytes", " * 1e9"),
        "tbytes" => ("bytes", " * 1099511627776"),
        "dectbytes" => ("bytes", " * 1e12"),
        "Bps" | "binBps" => ("bytes_per_second", ""),
        "bps" | "binbps" => ("bytes_per_second", " / 8"),
        "KBs" => ("bytes_per_second", " * 1000"),
        "KiBs" => ("bytes_per_second", " * 1024"),
        "MBs" => ("bytes_per_second", " * 1e6"),
        "MiBs" => ("bytes_per_second", " * 1048576"),
        "Kbits" => ("bytes_per_second", " * 125"),
        "Kibits" => ("bytes_per_second", " * 128"),
        "Mbits" => ("bytes_per_second", " * 125000"),
        "Mibits" => ("bytes_per_second", " * 131072"),
        "GBs" => ("bytes_per_second", " * 1e9"),
        "GiBs" => ("bytes_per_second", " * 1073741824"),
        "Gbits" => ("bytes_per_second", " * 1.25e8"),
        "Gibits" => ("bytes_per_second", " * 134217728"),
        "celsius" => ("celsius", ""),
        "hertz" | "rothz" => ("hertz", ""),
        "rotkhz" => ("hertz", " * 1000"),
        "watt" => ("watt", ""),
        "kwatt" => ("watt", " * 1000"),
        "mwatt" => ("watt", " / 1000"),
        "volt" => ("volt", ""),
        "kvolt" => ("volt", " * 1000"),
        "mvolt" => ("volt", " / 1000"),
        "amp" => ("ampere", ""),
        "mamp" => ("ampere", " / 1000"),
        // Milliseconds there.
        "dateTimeAsIso"
        | "dateTimeAsIsoNoDateIfToday"
        | "dateTimeAsUS"
        | "dateTimeAsUSNoDateIfToday"
        | "dateTimeAsLocal"
        | "dateTimeAsLocalNoDateIfToday"
        | "dateTimeAsSystem"
        | "dateTimeFromNow" => ("date", " / 1000"),
        _ => ("short", ""),
    }
}
