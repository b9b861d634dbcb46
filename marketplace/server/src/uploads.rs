//! Resumable uploads (UP-1, UP-2, UP-4, UP-5): the tus 1.0 idiom.

use crate::{
    http::{Answer, Site},
    limits::Kind,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, Path},
};
use veilbourse_domain::{
    DomainError, Result,
    access::Pass,
    id::ListingId,
    listing::ListingState,
    records::ObjectInfo,
};

type At = Path<(String, String)>;
const CONTENT_TYPE: &str = "application/offset+octet-stream";

fn number(req: &HttpRequest, name: &'static str) -> Result<u64> {
    req.headers()
        .get(name)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok())
        .ok_or_else(|| DomainError::invalid(name, "the header is missing or no number"))
}

async fn object(site: &Site, pass: &Pass, at: &At) -> Result<(ListingId, ObjectInfo)> {
    let id: ListingId = at.0.parse()?;
    site.app.own_listing(pass, id).await?;
    let info = site.app.store.object(id, &at.1).await?;
    Ok((id, info))
}

/// `HEAD`: where to resume.
pub async fn head(site: Data<Site>, req: HttpRequest, at: At) -> Answer {
    let pass = site.pass(&req, "HEAD /v1/listings/{id}/objects/{name}").await?;
    let work = async {
        let (id, info) = object(&site, &pass, &at).await?;
        let offset = site.app.objects.offset(id, &info.name).await?;
        if offset == info.length && info.digest.is_none() {
            site.app.complete_all(id).await?;
        }
        Ok((offset, info.length))
    };
    let (offset, length) = work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok()
        .insert_header(("upload-offset", offset.to_string()))
        .insert_header(("upload-length", length.to_string()))
        .insert_header(("cache-control", "no-store"))
        .finish())
}

/// `PATCH`: appends at the offset.
pub async fn patch(site: Data<Site>, req: HttpRequest, at: At, body: Bytes) -> Answer {
    let pass = site.pass(&req, "PATCH /v1/listings/{id}/objects/{name}").await?;
    let work = async {
        let account = pass.viewer().account()?;
        site.app.limits.take(Kind::Upload, &account.to_string())?;
        let kind = req.headers().get("content-type").and_then(|v| v.to_str().ok());
        if kind != Some(CONTENT_TYPE) {
            return Err(DomainError::invalid("content-type", format!("expected {CONTENT_TYPE}")));
        }
        let (id, info) = object(&site, &pass, &at).await?;
        let listing = site.app.store.listing(id).await?;
        if !matches!(listing.state, ListingState::Draft | ListingState::Rejected { .. }) {
            return Err(DomainError::ObjectImmutable { name: info.name });
        }
        let (offset, length) = (number(&req, "upload-offset")?, number(&req, "upload-length")?);
        if length != info.length {
            return Err(DomainError::UploadLength {
                name: info.name,
                expected: info.length,
                found: length,
            });
        }
        let end =
            site.app.objects.append(id, &info.name, offset, info.length, &body).await?;
        if end == info.length {
            let digest = site.app.objects.digest(id, &info.name).await?;
            site.app.store.complete_object(id, &info.name, digest).await?;
        }
        Ok(end)
    };
    let end = work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::NoContent().insert_header(("upload-offset", end.to_string())).finish())
}

/// `GET`: the twin of a public listing for everybody, the rest for owner and
/// staff.
pub async fn get(site: Data<Site>, req: HttpRequest, at: At) -> Answer {
    let pass = site.pass(&req, "GET /v1/listings/{id}/objects/{name}").await?;
    let work = async {
        let id: ListingId = at.0.parse()?;
        let listing = site.app.store.listing(id).await?;
        let twin = at.1.starts_with("twin.");
        if !(twin && listing.state.public()) {
            pass.sees("object", &[listing.owner])?;
        }
        site.app.store.object(id, &at.1).await?;
        site.app.objects.read(id, &at.1).await
    };
    let bytes = work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("content-disposition", "attachment"))
        .body(bytes))
}
