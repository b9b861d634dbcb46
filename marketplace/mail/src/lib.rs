//! Letters (MAIL): their words in text and HTML, the message, and the way out.
//!
//! [`render`] fills a template with the facts of a letter; [`Message`] makes the
//! bytes; a [`Transport`] hands them to an SMTP relay or writes them into a
//! folder. No state: what was sent is the store's to know, when to send is the
//! server's worker's.

mod error;
mod facts;
mod folder;
mod message;
mod relay;
mod render;
mod time;
mod transport;
mod words;

pub use error::{MailError, SendError};
pub use facts::{Facts, clean};
pub use folder::Folder;
pub use message::{Headers, Message, Sender};
pub use relay::{Dialogue, Relay};
pub use render::{Links, Rendered, render};
pub use transport::{Session, Transport};
pub use words::subject;
