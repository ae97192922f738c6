//! Sizes (`10MB`) as Prometheus' configuration writes them.

/// Reads a size in bytes. `KB` and `KiB` are both 1,024, as Prometheus has them.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size; write it like 512KB, 10MB or 1GB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let shift = match &text[digits..] {
        "" if number == 0 => 0,
        "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        "TB" | "TiB" => 40,
        "PB" | "PiB" => 50,
        "EB" | "EiB" => 60,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("0", 0), ("5B", 5), ("512KB", 1 << 19), ("10MiB", 10 << 20), ("1GB", 1 << 30)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "10", "10mb", "MB", "1.5MB", "99999999999EB", "16EB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
