//! Whatever the judge computes says by which formula, and whose it is.

const FILES: [(&str, &str); 5] = [
    ("counts", include_str!("../src/counts.rs")),
    ("cusum", include_str!("../src/cusum.rs")),
    ("interval", include_str!("../src/interval.rs")),
    ("judge", include_str!("../src/judge.rs")),
    ("latency", include_str!("../src/latency.rs")),
];

/// These hold a number, divide two or give a default: there is nothing to be cited.
const PLAIN: [(&str, &str); 9] = [
    ("counts", "new(events: u64, total: u64)"),
    ("counts", "rate(self)"),
    ("judge", "alpha()"),
    ("judge", "beta()"),
    ("judge", "tolerate()"),
    ("judge", "prove_below()"),
    ("judge", "check(&self)"),
    ("judge", "is_final(self)"),
    ("judge", "drawn(mut self)"),
];

fn has_year(doc: &str) -> bool {
    let mut numbers = doc.split(|c: char| !c.is_ascii_digit());
    numbers.any(|word| word.len() == 4 && (word.starts_with("19") || word.starts_with("20")))
}

#[test]
fn every_function_of_the_tests_names_its_paper() {
    let (mut cited, mut plain) = (0, 0);
    for (file, text) in FILES {
        let mut doc = String::new();
        for line in text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]") {
            if let Some(words) = line.strip_prefix("///") {
                doc.push_str(words);
                continue;
            }
            if line.starts_with("#[") {
                continue;
            }
            let function = line.strip_prefix("pub const fn ").or_else(|| line.strip_prefix("pub fn "));
            if let Some(function) = function {
                if PLAIN.iter().any(|(of, begins)| *of == file && function.starts_with(begins)) {
                    plain += 1;
                } else {
                    assert!(has_year(&doc), "{file}.rs: `{function}` names no paper with its year: {doc}");
                    cited += 1;
                }
            }
            doc.clear();
        }
    }
    assert_eq!(plain, PLAIN.len(), "each of the plain ones is there");
    assert!(cited > 20, "only {cited}");
}
