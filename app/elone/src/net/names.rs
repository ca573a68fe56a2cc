//! Names to addresses, by DNS.

use core::future::poll_fn;
use core::net::IpAddr;
use core::task::Poll;

use smoltcp::socket::dns::{GetQueryResultError, QueryHandle, Socket, StartQueryError};
use smoltcp::wire::DnsQueryType;

use super::Net;
use super::stack::{Inner, Stack, now};
use crate::Error;

impl Net {
    /// The first IPv4 address of a name, or else its first IPv6 address. An address that is written
    /// out is its own answer.
    ///
    /// # Errors
    /// [`Error::NoSuchName`], also where no server is known or none answers; [`Error::Full`] while
    /// four names are being looked up.
    pub async fn resolve(&self, name: &str) -> Result<IpAddr, Error> {
        if let Ok(address) = name.parse() {
            return Ok(address);
        }
        match self.query(name, DnsQueryType::A).await {
            Err(Error::NoSuchName) => self.query(name, DnsQueryType::Aaaa).await,
            answer => answer,
        }
    }

    pub(super) async fn query(&self, name: &str, kind: DnsQueryType) -> Result<IpAddr, Error> {
        let handle = self.stack.inner.borrow_mut().start_query(name, kind)?;
        let mut query = Query { stack: self.stack, handle: Some(handle) };
        poll_fn(|context| {
            let mut inner = self.stack.inner.borrow_mut();
            let socket = inner.dns();
            let answer = match socket.get_query_result(handle) {
                Err(GetQueryResultError::Pending) => {
                    socket.register_query_waker(handle, context.waker());
                    return Poll::Pending;
                }
                Err(GetQueryResultError::Failed) => None,
                Ok(addresses) => addresses.first().map(|&address| address.into()),
            };
            // Asking for the result of a finished query has freed it.
            query.handle = None;
            Poll::Ready(answer.ok_or(Error::NoSuchName))
        })
        .await
    }
}

impl Inner {
    fn dns(&mut self) -> &mut Socket<'static> {
        self.others.set.get_mut(self.others.dns)
    }

    fn start_query(&mut self, name: &str, kind: DnsQueryType) -> Result<QueryHandle, Error> {
        // Without a server the query would only time out.
        if self.addresses.dns.is_empty() {
            return Err(Error::NoSuchName);
        }
        self.others.marked = true;
        let seed = self.secret.query_seed(|port| self.others.is_bound(port));
        let mut beginning = self.moment(seed, now());
        let started = self.dns().start_query(beginning.context(), name, kind);
        started.map_err(|error| match error {
            StartQueryError::NoFreeSlot => Error::Full,
            StartQueryError::InvalidName | StartQueryError::NameTooLong => Error::NoSuchName,
        })
    }
}

/// A query in the making; dropped early, it is taken back.
struct Query {
    stack: &'static Stack,
    handle: Option<QueryHandle>,
}

impl Drop for Query {
    fn drop(&mut self) {
        if let Some(handle) = self.handle {
            self.stack.inner.borrow_mut().dns().cancel_query(handle);
        }
    }
}
