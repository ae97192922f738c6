//! Whose pages may ask from a browser.

use tenfold_types::Fault;

/// Origins that may be named.
const ORIGINS_MAX: usize = 100;

/// Browsers say an origin in one way only; one that is written in another would never be met.
pub(super) fn check(origins: &[String]) -> Result<(), Fault> {
    if origins.len() > ORIGINS_MAX {
        return Err(Fault::invalid(format!(
            "metrics.cors_origins names {}; at most {ORIGINS_MAX} may be there",
            origins.len()
        )));
    }
    for origin in origins.iter().filter(|origin| *origin != "*") {
        let wrong = match origin.split_once("://") {
            None => "has no scheme",
            Some((_, host)) if host.is_empty() || host.contains(['/', '?', '#', '@', '*', ' ']) => {
                "is more than a scheme, a host and a port"
            }
            Some((_, host)) if !host.is_ascii() || origin.chars().any(|c| c.is_ascii_uppercase()) => {
                "is not in small ASCII letters"
            }
            Some(("http", host)) if host.ends_with(":80") => "has the port that its scheme has without one",
            Some(("https", host)) if host.ends_with(":443") => "has the port that its scheme has without one",
            Some(_) => continue,
        };
        return Err(Fault::invalid(format!("metrics.cors_origins: `{origin}` {wrong}"))
            .advice("write https://perses.example.org, as browsers send it in the header Origin, or * for any"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_say_them() {
        let of = |origins: &[&str]| {
            let origins: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
            check(&origins).map_err(|fault| fault.message)
        };
        assert_eq!(of(&["https://perses.example.org", "http://127.0.0.1:3000", "http://[::1]:8080", "*"]), Ok(()));
        for (wrong, word) in [
            ("perses.example.org", "no scheme"),
            ("null", "no scheme"),
            ("https://", "more than"),
            ("https://perses.example.org/", "more than"),
            ("https://*.example.org", "more than"),
            ("https://ana@example.org", "more than"),
            ("https://Perses.example.org", "small"),
            ("https://b\u{fc}cher.example", "small"),
            ("http://perses.example.org:80", "the port"),
            ("https://perses.example.org:443", "the port"),
        ] {
            let refused = of(&[wrong]).expect_err("it is wrong");
            assert!(refused.contains(word) && refused.contains(wrong), "{refused}");
        }
        assert!(of(&["*"; ORIGINS_MAX + 1]).is_err());
    }
}
