//! Resumable uploads (UP-1, UP-2, UP-4, UP-5): the tus 1.0 idiom.

use crate::{
    body::{MAX_LARGE, declared},
    http::{Answer, Site},
    limits::Kind,
};
use actix_web::{
    HttpRequest, HttpResponse,
    body::SizedStream,
    web::{Bytes, Data, Path, Payload},
};
use veilbourse_domain::{
    DomainError, Result, access::Pass, id::ListingId, listing::ListingState, records::ObjectInfo,
};

type At = Path<(String, String)>;
/// Bytes of an object read at once.
const SENT: u64 = 256 << 10;
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
    let pass = site
        .pass(&req, "HEAD /v1/listings/{id}/objects/{name}")
        .await?;
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

/// `PATCH`: appends at the offset. The body is read when all else is right.
pub async fn patch(site: Data<Site>, req: HttpRequest, at: At, payload: Payload) -> Answer {
    let pass = site
        .pass(&req, "PATCH /v1/listings/{id}/objects/{name}")
        .await?;
    let head = async {
        let account = pass.viewer().account()?;
        site.app.limits.take(Kind::Upload, &account.to_string())?;
        let kind = req
            .headers()
            .get("content-type")
            .and_then(|v| v.to_str().ok());
        if kind != Some(CONTENT_TYPE) {
            return Err(DomainError::invalid(
                "content-type",
                format!("expected {CONTENT_TYPE}"),
            ));
        }
        let (id, info) = object(&site, &pass, &at).await?;
        let listing = site.app.store.listing(id).await?;
        if !matches!(
            listing.state,
            ListingState::Draft | ListingState::Rejected { .. }
        ) {
            return Err(DomainError::ObjectImmutable { name: info.name });
        }
        let (offset, length) = (
            number(&req, "upload-offset")?,
            number(&req, "upload-length")?,
        );
        if length != info.length {
            return Err(DomainError::UploadLength {
                name: info.name,
                expected: info.length,
                found: length,
            });
        }
        if info.digest.is_some() {
            return Err(DomainError::ObjectImmutable { name: info.name });
        }
        let expected = site.app.objects.offset(id, &info.name).await?;
        if offset != expected && expected < info.length {
            return Err(DomainError::UploadOffset {
                expected,
                found: offset,
            });
        }
        // UP-2: a length that is stated is refused before it is read.
        let end = offset.saturating_add(declared(req.headers()).unwrap_or(0) as u64);
        if end > info.length {
            return Err(DomainError::UploadLength {
                name: info.name,
                expected: info.length,
                found: end,
            });
        }
        Ok((id, info, offset))
    };
    let (id, info, offset) = head.await.map_err(|e| site.refuse(e))?;
    let body = site.body(&req, payload, MAX_LARGE, pass.viewer()).await?;
    let work = async {
        let end = site
            .app
            .objects
            .append(id, &info.name, offset, info.length, &body)
            .await?;
        if end == info.length {
            let digest = site.app.objects.digest(id, &info.name).await?;
            site.app
                .store
                .complete_object(id, &info.name, digest)
                .await?;
        }
        Ok(end)
    };
    let end = work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::NoContent()
        .insert_header(("upload-offset", end.to_string()))
        .finish())
}

/// `GET`: the twin of a public listing for everybody, the rest for owner and
/// staff; read from the disk as it is sent.
pub async fn get(site: Data<Site>, req: HttpRequest, at: At) -> Answer {
    let pass = site
        .pass(&req, "GET /v1/listings/{id}/objects/{name}")
        .await?;
    let work = async {
        let id: ListingId = at.0.parse()?;
        // ACC-6: a listing that is absent, one of somebody else and an object
        // that it does not have answer alike.
        let missing = DomainError::NotFound { what: "object" };
        let listing = match site.app.store.listing(id).await {
            Err(DomainError::NotFound { .. }) => return Err(missing),
            found => found?,
        };
        let twin = at.1.starts_with("twin.");
        if !(twin && listing.state.public()) {
            pass.sees("object", &[listing.owner])?;
        }
        let info = site.app.store.object(id, &at.1).await?;
        if site.app.objects.offset(id, &at.1).await? != info.length {
            return Err(DomainError::ObjectIncomplete { name: info.name });
        }
        Ok((id, info))
    };
    let (id, info) = work.await.map_err(|e| site.refuse(e))?;
    let length = info.length;
    let objects = site.app.objects.clone();
    let parts = futures::stream::try_unfold(0u64, move |offset| {
        let (objects, name) = (objects.clone(), info.name.clone());
        async move {
            if offset >= length {
                return Ok(None);
            }
            let part = objects
                .read_part(id, &name, offset, SENT.min(length - offset))
                .await
                .inspect_err(|e| tracing::error!(error = ?e, "reading an object"))?;
            let next = offset.saturating_add(part.len() as u64);
            Ok::<_, DomainError>(Some((Bytes::from(part), next)))
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("content-disposition", "attachment"))
        .body(SizedStream::new(length, Box::pin(parts))))
}
