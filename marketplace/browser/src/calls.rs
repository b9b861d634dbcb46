//! Methods by name.

use crate::{
    Core, CoreError, Reply,
    core::{Input, arguments},
};
use serde::Deserialize;
use serde_json::{Value, json};
use veilbourse_client::http::Progress;
use veilbourse_tabular::SchemaConfig;
use veilbourse_verify::{Trust, verify_receipt};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toml {
    toml: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Schema {
    schema: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    marketplace: Option<String>,
}

impl Core {
    pub(crate) async fn dispatch(
        &mut self,
        method: &str,
        a: Value,
        input: Option<Box<dyn Input>>,
        file: Option<Vec<u8>>,
        progress: &dyn Progress,
    ) -> Result<Reply, CoreError> {
        let missing = || CoreError::input("file", "a file is needed");
        match method {
            // Tables and receipts.
            "inspect" => crate::table::inspect(input.ok_or_else(missing)?, arguments(a)?, progress),
            "schemaToml" => schema_toml(arguments(a)?),
            "schemaFromToml" => schema_from_toml(&arguments::<Toml>(a)?),
            "verifyReceipt" => receipt(&file.ok_or_else(missing)?, &arguments(a)?),
            "checkCommittee" => crate::policy::check_committee(arguments(a)?),
            // The vault.
            "vaultState" => Ok(self.vault_state().into()),
            "vaultCreate" => self.vault_create(arguments(a)?),
            "vaultUnlock" => self.vault_unlock(arguments(a)?, &file.ok_or_else(missing)?),
            "vaultLock" => Ok(self.vault_lock()),
            "vaultPassphrase" => self.vault_passphrase(arguments(a)?, &file.ok_or_else(missing)?),
            "vaultExport" => self.vault_export(),
            "vaultImport" => self.vault_import(arguments(a)?, &file.ok_or_else(missing)?),
            "vaultCheck" => crate::vault::check(arguments(a)?, &file.ok_or_else(missing)?),
            "signingKey" => self.signing_key(),
            "registrationFor" => self.registration_for(arguments(a)?, false).await,
            "registerKey" => self.registration_for(arguments(a)?, true).await,
            "marketplaceKey" => self.marketplace_key().await,
            "pinMarketplace" => self.pin_marketplace(arguments(a)?),
            // Custodian.
            "drafts" => self.drafts(),
            "encrypt" => self.encrypt(input.ok_or_else(missing)?, arguments(a)?, progress),
            "removeDraft" => self.remove_draft(&arguments(a)?),
            "listingDraft" => self.listing_draft(arguments(a)?).await,
            "upload" => self.upload(&arguments(a)?, progress).await,
            "previewClasses" => self.preview_classes(&arguments(a)?),
            "dealStep" => self.deal_step(arguments(a)?, progress),
            "uploadTickets" => self.upload_tickets(&arguments(a)?, progress).await,
            "signPolicy" => self.sign_policy(arguments(a)?).await,
            "submit" => self.submit(&arguments(a)?).await,
            "updatePolicy" => self.update_policy(&arguments(a)?).await,
            "exportDataset" => self.export_dataset(&arguments(a)?),
            // Buyer.
            "listing" => self.listing(&arguments(a)?).await,
            "fit" => self.fit(arguments(a)?).await,
            "runOnTwin" => self.run_on_twin(&arguments(a)?, progress).await,
            "quote" => self.quote(arguments(a)?).await,
            "quoteCheck" => self.quote_check(arguments(a)?).await,
            "sign" => self.sign(arguments(a)?).await,
            "placeAgain" => self.place_again(&arguments(a)?).await,
            "orders" => self.orders(),
            "open" => self.open_order(&arguments(a)?, progress).await,
            "train" => self.train(arguments(a)?, progress).await,
            _ => Err(CoreError::input(
                "method",
                format!("there is no method {method:?}"),
            )),
        }
    }
}

fn schema_toml(a: Schema) -> Result<Reply, CoreError> {
    let config = crate::table::schema_of(&a.schema)?;
    Ok(json!(config.to_toml()?).into())
}

fn schema_from_toml(a: &Toml) -> Result<Reply, CoreError> {
    let config = SchemaConfig::from_toml(&a.toml)?;
    let value = serde_json::to_value(&config).map_err(|e| CoreError::input("toml", e))?;
    Ok(value.into())
}

/// REC-4: what was proven, attested and assumed, or which rule failed.
fn receipt(bytes: &[u8], a: &Receipt) -> Result<Reply, CoreError> {
    let expected = match a.marketplace.as_deref() {
        None | Some("") => None,
        Some(text) => Some(
            veilbourse_core::digest::Digest::from_hex(text)
                .ok_or_else(|| CoreError::input("marketplace", "expected 64 hex digits"))?,
        ),
    };
    let trust = Trust {
        marketplace: expected,
        circuits: None,
    };
    Ok(match verify_receipt(bytes, &trust) {
        Ok(report) => {
            let mut said = report.json();
            said["text"] = json!(report.text());
            said.into()
        }
        Err(e) => {
            let reason = veilbourse_verify::terminal::printable(&e.to_string());
            json!({ "valid": false, "rule": e.rule(), "reason": reason }).into()
        }
    })
}
