//! What is where.
//!
//! | resource        | methods         |                                                        |
//! |-----------------|-----------------|--------------------------------------------------------|
//! | `/`             | GET, HEAD       | the page                                               |
//! | `/health`       | GET, HEAD       | that the service lives, in a few bytes                 |
//! | `/metrics`      | GET, HEAD       | counters, for Prometheus                               |
//! | `/report`       | GET, HEAD       | the latest fault's report, or a line that there is none |
//! | `/api/status`   | GET, HEAD       | what the page shows, as JSON                           |
//! | `/api/readings` | GET, HEAD, POST | the readings: see [`Query`] and [`intake`]            |

use crate::Gateway;
use crate::content::{Content, List, Metrics, Page, Report, page};
use crate::http::{Answer, Method, Refusal, Service, Status};
use crate::intake;
use crate::machine::Machine;
use crate::query::Query;
use crate::readings::Reading;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The page.
    Page,
    /// Whether the service lives.
    Health,
    /// The counters.
    Metrics,
    /// What the page shows.
    Status,
    /// The latest fault's report.
    Report,
    /// Readings.
    List(Query),
    /// To keep readings.
    Store,
}

/// Header fields of data.
const JSON: &str = "Content-Type: application/json\r\nCache-Control: no-store\r\n\
                    X-Content-Type-Options: nosniff\r\n";

/// Header fields of text for people. Browsers must not take it for anything else: who wrote a
/// report's words may have wished for that.
const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\
                    X-Content-Type-Options: nosniff\r\n";

/// Header fields of the Prometheus text format, version 0.0.4.
const METRICS: &str = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
                       Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";

impl<'g, M: Machine> Service for &'g Gateway<M> {
    type Route = Route;
    type Body = Content<'g, M>;

    fn route(&self, method: Method, target: &str) -> Result<Route, Refusal> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let route = match path {
            "/health" => Route::Health,
            "/" => Route::Page,
            "/metrics" => Route::Metrics,
            "/api/status" => Route::Status,
            "/report" => Route::Report,
            "/api/readings" => {
                return match method {
                    Method::Get => Query::read(query).map(Route::List),
                    Method::Post => Ok(Route::Store),
                    Method::Other => Err(not_allowed("GET, HEAD, POST")),
                };
            }
            _ => return Err(Refusal::new(Status::NotFound)),
        };
        if method == Method::Get { Ok(route) } else { Err(not_allowed("GET, HEAD")) }
    }

    fn answer(&self, route: Route, content: &[u8]) -> Answer<Self::Body> {
        let (status, fields, body) = match route {
            Route::Page => (Status::Ok, page::FIELDS, Content::Page(Page::new(self))),
            Route::Health => (Status::Ok, JSON, Content::Health(self)),
            Route::Metrics => (Status::Ok, METRICS, Content::Metrics(Metrics::new(self))),
            Route::Status => (Status::Ok, JSON, Content::status(self)),
            Route::Report => (Status::Ok, TEXT, Content::Report(Report::new(self.machine.past()))),
            Route::List(query) => (Status::Ok, JSON, Content::List(List::new(self, query))),
            Route::Store => match self.store(content) {
                Ok(stored) => (Status::Created, JSON, stored),
                Err(refusal) => return Answer::Refused(refusal),
            },
        };
        Answer::Content { status, fields, body }
    }

    fn answered(&self, status: Status) {
        self.responses.count(status);
    }

    fn is_closing(&self) -> bool {
        self.closing.has_begun()
    }
}

impl<M: Machine> Gateway<M> {
    /// Keeps what was posted: all of it or, where anything is wrong with it, nothing.
    fn store(&self, content: &[u8]) -> Result<Content<'_, M>, Refusal> {
        intake::read(content, &mut |_| {})?;

        let date = self.machine.date();
        let uptime = u32::try_from(self.uptime() / 1000).unwrap_or(u32::MAX);
        let count = intake::read(content, &mut |reading| {
            self.readings.store(Reading { time: reading.time.or(date), uptime, ..reading });
        })?;
        let last = self.readings.newest();
        Ok(Content::Stored { first: last + 1 - count as u64, last })
    }
}

fn not_allowed(allow: &'static str) -> Refusal {
    Refusal { allow: Some(allow), ..Refusal::new(Status::MethodNotAllowed) }
}
