//! Protobuf messages written field by field: the other direction of `wire`.

/// A message that is being written. Numbers that are zero are left out where protobuf 3 does so: the caller decides.
#[derive(Debug, Default, Clone)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }
    fn tag(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }
    pub fn number(&mut self, field: u32, n: u64) {
        self.tag(field, 0);
        self.varint(n);
    }
    /// `sint32` and `sint64`.
    pub fn signed(&mut self, field: u32, n: i64) {
        self.number(field, (n << 1 ^ n >> 63) as u64);
    }
    pub fn double(&mut self, field: u32, value: f64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&value.to_bits().to_le_bytes());
    }
    pub fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
    pub fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }
    /// A message within this one.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.0);
    }
    /// Packed `repeated double`; nothing when there are none.
    pub fn doubles(&mut self, field: u32, values: &[f64]) {
        if !values.is_empty() {
            self.tag(field, 2);
            self.varint(values.len() as u64 * 8);
            for v in values {
                self.0.extend_from_slice(&v.to_bits().to_le_bytes());
            }
        }
    }
}
