//! The listing statement (rules DS-3, DS-4): the published sums are the sums
//! over each segment's chunks, and the traced forms are those of the sums.

mod verify;

pub use verify::{
    ListingPoint, ListingStatement, listing_body_limit, listing_claims, listing_transcript,
    verify_listing,
};
