//! The `http_config` of a webhook: who we say we are to it, what we trust, and which proxy stands in between.

use std::sync::Arc;

use serde_json::{Map, Value};
use tenfold_scrape::{HttpClient, Proxy, parse_http_config};

use super::has_userinfo;
use crate::{RoutingError, routes::wrong};

/// Reads it as Prometheus' programs do. `follow_redirects` holds only where it is written.
pub(super) fn read(value: &Value, path: &str) -> Result<Option<Arc<HttpClient>>, RoutingError> {
    let map = match value {
        Value::Null => return Ok(None),
        Value::Object(map) => map,
        _ => return Err(wrong(path, "is a map")),
    };
    if map.is_empty() {
        return Ok(None);
    }
    // JSON is YAML as well.
    let text = value.to_string();
    let mut client = parse_http_config(&text).map_err(|e| {
        let said = e.message.split(" at line ").next().unwrap_or_default().to_owned();
        wrong(path, said)
    })?;
    client.follow_redirects = followed(map);
    if let Proxy::Url { url, .. } = &client.proxy
        && has_userinfo(url)
    {
        let message = "`proxy_url` names a user or a password; write them as `Proxy-Authorization` of \
                       `proxy_connect_header`, where they are kept as a secret";
        return Err(wrong(path, message));
    }
    Ok(Some(Arc::new(client)))
}

fn followed(map: &Map<String, Value>) -> bool {
    map.get("follow_redirects") == Some(&Value::Bool(true))
}
