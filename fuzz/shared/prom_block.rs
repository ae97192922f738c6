//! The frames of a block of Prometheus, with lengths and checksums that are right whatever is within: what a fuzzer changes
//! gets past them.

/// CRC-32 of Castagnoli, bit by bit.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
    })
}

pub fn put_uvarint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A chunk as it lies in a segment.
pub fn chunk(encoding: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_uvarint(&mut out, data.len() as u64);
    let coded = [&[encoding], data].concat();
    out.extend_from_slice(&coded);
    out.extend_from_slice(&crc32c(&coded).to_be_bytes());
    out
}

/// An index of these strings and series.
pub fn index(symbols: &[&str], series: &[Vec<u8>]) -> Vec<u8> {
    let mut out = 0xBAAA_D700_u32.to_be_bytes().to_vec();
    out.push(2);
    let symbols_at = out.len() as u64;
    let mut table = (symbols.len() as u32).to_be_bytes().to_vec();
    for symbol in symbols {
        put_uvarint(&mut table, symbol.len() as u64);
        table.extend_from_slice(symbol.as_bytes());
    }
    out.extend_from_slice(&(table.len() as u32).to_be_bytes());
    out.extend_from_slice(&table);
    out.extend_from_slice(&crc32c(&table).to_be_bytes());
    out.resize(out.len().next_multiple_of(16), 0);
    let series_at = out.len() as u64;
    for body in series {
        out.resize(out.len().next_multiple_of(16), 0);
        put_uvarint(&mut out, body.len() as u64);
        out.extend_from_slice(body);
        out.extend_from_slice(&crc32c(body).to_be_bytes());
    }
    let end = out.len() as u64;
    let mut toc = Vec::new();
    for at in [symbols_at, series_at, end, end, end, end] {
        toc.extend_from_slice(&at.to_be_bytes());
    }
    out.extend_from_slice(&toc);
    out.extend_from_slice(&crc32c(&toc).to_be_bytes());
    out
}
