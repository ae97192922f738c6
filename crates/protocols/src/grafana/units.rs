//! Grafana's units and ours.

/// The unit here, and what brings a value into it.
pub(super) fn unit(told: &str) -> (&'static str, &'static str) {
    match told {
        "ops" | "reqps" | "rps" | "wps" | "iops" | "cps" | "pps" | "eps" | "mps" | "recps" | "rowsps" => ("ops", ""),
        "opm" | "rpm" | "wpm" | "cpm" | "reqpm" | "epm" | "mpm" | "recpm" | "rowspm" => ("ops", " / 60"),
        "percentunit" => ("ratio", ""),
        "percent" | "humidity" => ("ratio", " / 100"),
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
        "pbytes" => ("bytes", " * 1125899906842624"),
        "decpbytes" => ("bytes", " * 1e15"),
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
        "TBs" => ("bytes_per_second", " * 1e12"),
        "TiBs" => ("bytes_per_second", " * 1099511627776"),
        "Tbits" => ("bytes_per_second", " * 1.25e11"),
        "Tibits" => ("bytes_per_second", " * 137438953472"),
        "celsius" => ("celsius", ""),
        "hertz" | "rothz" => ("hertz", ""),
        "rotrpm" => ("hertz", " / 60"),
        "rotkhz" => ("hertz", " * 1000"),
        "rotmhz" => ("hertz", " * 1e6"),
        "rotghz" => ("hertz", " * 1e9"),
        "watt" => ("watt", ""),
        "kwatt" => ("watt", " * 1000"),
        "megwatt" => ("watt", " * 1e6"),
        "gwatt" => ("watt", " * 1e9"),
        "mwatt" => ("watt", " / 1000"),
        "volt" => ("volt", ""),
        "kvolt" => ("volt", " * 1000"),
        "mvolt" => ("volt", " / 1000"),
        "amp" => ("ampere", ""),
        "kamp" => ("ampere", " * 1000"),
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
