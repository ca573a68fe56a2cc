//! What a service is to the server: routes, answers, and bodies that are written piece by piece.

use core::fmt;

use super::{Method, Output, Refusal, Status};

/// What a server serves. All of it is decided at once, without waiting: what must be waited for
/// (the request, the client's reading) is the server's.
pub trait Service {
    /// What [`route`](Self::route) makes of a target. It holds all that is wanted of the head.
    type Route;
    /// What answers are written from.
    type Body: Body;

    /// Finds the resource of a request, or says why there is none. `target` starts with `/`
    /// (or is `*`) and may have a query.
    ///
    /// # Errors
    /// What the client is told: 404, 405, or 400 for a query that the resource does not have.
    fn route(&self, method: Method, target: &str) -> Result<Self::Route, Refusal>;

    /// Answers a request whose content is whole.
    fn answer(&self, route: Self::Route, content: &[u8]) -> Answer<Self::Body>;

    /// Told of each response: for the counters.
    fn answered(&self, status: Status);

    /// Whether the service ends: a request that has begun is answered, and its connection closed;
    /// one that is idle is closed at once. Whoever changes that polls the connections' tasks.
    fn is_closing(&self) -> bool;
}

/// A response, before it is written.
#[derive(Debug)]
pub enum Answer<B> {
    /// The resource's own.
    Content {
        /// The status.
        status: Status,
        /// Header fields that go with the content, `Content-Type` among them: whole lines, each
        /// with its end, below 1 KiB. How the content is framed is the server's to say.
        fields: &'static str,
        /// The content.
        body: B,
    },
    /// What was wrong.
    Refused(Refusal),
}

/// The content of a response.
pub trait Body {
    /// Writes the next piece, and says whether there is more. When it does not fit it is called
    /// again with more room, so it must not have moved on; an empty output holds any piece.
    ///
    /// # Errors
    /// [`fmt::Error`] when the piece does not fit.
    fn write(&mut self, output: &mut Output) -> Result<Progress, fmt::Error>;
}

/// Whether a body has more to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has.
    More,
    /// That was all.
    Done,
}
