//! `veilbourse account ...`.

use crate::{
    args::{AccountCommand, Who},
    custodian::session,
};
use anyhow::Result;
use serde_json::json;
use veilbourse_client::{http::Server, market};

pub async fn run(c: AccountCommand, json: bool) -> Result<()> {
    let (object, text) = match c {
        AccountCommand::Verify { server, token } => {
            market::verify_mail(&Server::new(&server), &token).await?;
            (json!({ "verified": true }), "the address is verified")
        }
        AccountCommand::Resend { who } => {
            resend(&who).await?;
            (json!({ "sent": true }), "a letter is on its way")
        }
    };
    if json {
        out!("{object}");
    } else {
        out!("{text}");
    }
    Ok(())
}

async fn resend(who: &Who) -> Result<()> {
    Ok(market::resend_verification(&session(who).await?).await?)
}
