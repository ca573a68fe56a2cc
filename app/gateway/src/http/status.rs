//! The statuses that this server answers with (RFC 9110, section 15).

/// A status that this server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Here it is.
    Ok,
    /// What was posted is stored.
    Created,
    /// The request breaks the protocol's grammar, or its content breaks the resource's.
    BadRequest,
    /// There is no such resource.
    NotFound,
    /// The resource has no such method; `Allow` names those that it has.
    MethodNotAllowed,
    /// The request did not arrive whole in time.
    RequestTimeout,
    /// The content is larger than what is taken.
    ContentTooLarge,
    /// The request's target is longer than what is taken.
    UriTooLong,
    /// The header section is larger than what is taken, or has too many fields.
    HeadersTooLarge,
    /// A method or a transfer coding that this server does not know.
    NotImplemented,
    /// More connections than this server serves at a time.
    ServiceUnavailable,
    /// A version of HTTP other than 1.0 and 1.1.
    VersionNotSupported,
}

impl Status {
    /// The status line (RFC 9112, section 4), with its end.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok => "HTTP/1.1 200 OK\r\n",
            Self::Created => "HTTP/1.1 201 Created\r\n",
            Self::BadRequest => "HTTP/1.1 400 Bad Request\r\n",
            Self::NotFound => "HTTP/1.1 404 Not Found\r\n",
            Self::MethodNotAllowed => "HTTP/1.1 405 Method Not Allowed\r\n",
            Self::RequestTimeout => "HTTP/1.1 408 Request Timeout\r\n",
            Self::ContentTooLarge => "HTTP/1.1 413 Content Too Large\r\n",
            Self::UriTooLong => "HTTP/1.1 414 URI Too Long\r\n",
            Self::HeadersTooLarge => "HTTP/1.1 431 Request Header Fields Too Large\r\n",
            Self::NotImplemented => "HTTP/1.1 501 Not Implemented\r\n",
            Self::ServiceUnavailable => "HTTP/1.1 503 Service Unavailable\r\n",
            Self::VersionNotSupported => "HTTP/1.1 505 HTTP Version Not Supported\r\n",
        }
    }

    /// The reason phrase.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.line()["HTTP/1.1 200 ".len()..].trim_ascii_end()
    }

    /// The code's first digit, which says whose turn it is: 2 nobody's, 4 the client's, 5 ours.
    #[must_use]
    pub const fn class(self) -> usize {
        match self {
            Self::Ok | Self::Created => 2,
            Self::BadRequest
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::RequestTimeout
            | Self::ContentTooLarge
            | Self::UriTooLong
            | Self::HeadersTooLarge => 4,
            Self::NotImplemented | Self::ServiceUnavailable | Self::VersionNotSupported => 5,
        }
    }
}
