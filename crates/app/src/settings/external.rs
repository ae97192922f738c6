//! Labels of the server as a whole, as Prometheus' `external_labels`.

use tenfold_types::{Fault, Labels};

use super::Alerts;

impl Alerts {
    /// What series, alerts and templates are told apart by from those of other servers.
    pub fn external(&self) -> Labels {
        Labels::from_pairs(self.external_labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Whoever is sent samples refuses all of a request for a label without a name.
    pub(super) fn check_external(&self) -> Result<(), Fault> {
        if self.external_labels.contains_key("") {
            return Err(Fault::invalid("alerts.external_labels has a label without a name"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_server_have_names() {
        let of =
            |name: &str| Alerts { external_labels: [(name.to_owned(), "eu".to_owned())].into(), ..Alerts::default() };
        assert!(of("region").check().is_ok() && of("__replica__").check().is_ok());
        assert_eq!(of("region").external().to_string(), "{region=\"eu\"}");
        let refused = of("").check().expect_err("it has none").message;
        assert!(refused.contains("alerts.external_labels"), "{refused}");
    }
}
