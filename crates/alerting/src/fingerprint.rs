//! The fingerprint of an alert: FNV-1a over its labels, byte for byte as Prometheus and Alertmanager compute it, so that
//! links and silences made elsewhere name the same alert.

use tenfold_types::Labels;

const OFFSET: u64 = 14_695_981_039_346_656_037;
const PRIME: u64 = 1_099_511_628_211;
const SEPARATOR: u8 = 0xff;
/// Hex digits of a fingerprint.
const DIGITS: usize = 16;

/// 16 hex digits over the sorted labels.
pub fn fingerprint(labels: &Labels) -> String {
    let mut hash = OFFSET;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    for (name, value) in labels.iter() {
        name.bytes().for_each(&mut add);
        add(SEPARATOR);
        value.bytes().for_each(&mut add);
        add(SEPARATOR);
    }
    let mut text = String::with_capacity(DIGITS);
    for place in (0..DIGITS).rev() {
        text.extend(char::from_digit((hash >> (4 * place)) as u32 & 0xf, 16));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_the_offset_and_order_does_not_matter() {
        assert_eq!(fingerprint(&Labels::new()), format!("{OFFSET:016x}"));
        assert_eq!(fingerprint(&Labels::new()), "cbf29ce484222325");
        let a = Labels::from_pairs([("alertname", "High"), ("service", "photos")]);
        let b = Labels::from_pairs([("service", "photos"), ("alertname", "High")]);
        assert_eq!(fingerprint(&a), fingerprint(&b));
        assert_ne!(fingerprint(&a), fingerprint(&a.clone().with("x", "y")));
    }
}
