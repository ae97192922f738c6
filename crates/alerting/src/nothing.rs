//! YAML as Go's programs read it: a key with nothing behind it, as where its lines are commented out, is as if it were not there.

use serde::{Deserialize, Deserializer};

/// For `deserialize_with`, beside `default`.
pub fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}
