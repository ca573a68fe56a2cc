//! A load of HTTP requests: as many threads as connections, each asking as fast as it is answered.
//!
//! Nothing has to be installed for it, and it counts what is of interest here. Its figures were
//! held against those of wrk; docs/measurements.md says how they compare.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::http::{Client, Ports, Use};

/// How long the load runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// A client whose server has gone tries again no sooner than this.
const PAUSE: Duration = Duration::from_millis(10);

/// Whom to ask for what, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    /// Where the server is reached, a way for each client.
    pub(crate) addresses: &'a [SocketAddr],
    pub(crate) path: &'a str,
    pub(crate) purpose: Use,
}

/// What a load saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// How long each request took, the connection's beginning included where each has one of its
    /// own; in ascending order once the load is over.
    latencies: Vec<Duration>,
    /// Requests without an answer, or with a wrong one.
    pub(crate) failures: usize,
    clients: usize,
    elapsed: Duration,
}

/// When a client stops.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// Counting from the first moment to the second.
    Time(Instant, Instant),
    /// After so many requests.
    Count(usize),
}

impl Load<'_> {
    /// Asks for `time`, after a second that is not counted.
    pub(crate) fn run_for(&self, time: Duration) -> Result<Seen> {
        self.run_after(WARM_UP, time)
    }

    /// Asks for `time`, after `warm_up`, which is not counted.
    pub(crate) fn run_after(&self, warm_up: Duration, time: Duration) -> Result<Seen> {
        let begin = Instant::now() + warm_up;
        let seen = self.run(Until::Time(begin, begin + time))?;
        ensure!(!seen.latencies.is_empty(), "no request was answered");
        Ok(Seen { elapsed: time, ..seen })
    }

    /// Asks `count` times on each connection.
    pub(crate) fn run_count(&self, count: usize) -> Result<Seen> {
        let begin = Instant::now();
        let seen = self.run(Until::Count(count))?;
        ensure!(seen.failures == 0, "{} requests were not answered", seen.failures);
        Ok(Seen { elapsed: begin.elapsed(), ..seen })
    }

    fn run(&self, until: Until) -> Result<Seen> {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..)
                .zip(self.addresses)
                .map(|(number, address)| {
                    let ports = Ports::of(number);
                    scope.spawn(move || self.client(*address, ports, until))
                })
                .collect();
            let mut all = Seen { clients: clients.len(), ..Seen::default() };
            for client in clients {
                let seen = client.join().map_err(|_| anyhow!("a client panicked"))?;
                all.latencies.extend(seen.latencies);
                all.failures += seen.failures;
            }
            all.latencies.sort_unstable();
            Ok(all)
        })
    }

    /// One client: asks, and notes how long it took.
    fn client(&self, address: SocketAddr, mut ports: Ports, until: Until) -> Seen {
        let mut seen = Seen::default();
        let mut kept = None;
        loop {
            let begin = Instant::now();
            match until {
                Until::Time(_, end) if begin >= end => return seen,
                Until::Count(count) if seen.latencies.len() + seen.failures >= count => {
                    return seen;
                }
                _ => {}
            }
            let answered = self.request(&mut kept, &mut ports, address);
            let end = Instant::now();
            let counts = match until {
                Until::Time(first, last) => end >= first && end < last,
                Until::Count(_) => true,
            };
            match answered {
                Ok(()) if counts => seen.latencies.push(end - begin),
                Ok(()) => {}
                Err(_) => {
                    // Whenever it is: a failure is never warming up.
                    seen.failures += 1;
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// One request, on the connection that there is or on a new one.
    fn request(
        &self,
        kept: &mut Option<Client>,
        ports: &mut Ports,
        address: SocketAddr,
    ) -> io::Result<()> {
        let mut client = match kept.take() {
            Some(client) => client,
            None => Client::connect(ports, address, self.path, self.purpose)?,
        };
        client.ask()?;
        match self.purpose {
            Use::Kept => *kept = Some(client),
            Use::Once => client.finish()?,
        }
        Ok(())
    }
}

impl Seen {
    pub(crate) fn requests(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The time within which `percent` of the requests were answered, or would have been.
    ///
    /// A client that waits asks nothing, so a stall would count as one slow request, however long it
    /// takes. So those are counted too that a client would have sent meanwhile, one in each mean
    /// time between two of its requests, as wrk does it.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let Some(interval) = self.interval() else { return Duration::ZERO };
        let mut waits = self.latencies.clone();
        let begin = self.latencies.partition_point(|latency| *latency <= 2 * interval);
        for latency in &self.latencies[begin..] {
            let mut left = latency.saturating_sub(interval);
            while left > interval {
                waits.push(left);
                left -= interval;
            }
        }
        waits.sort_unstable();
        let index = (waits.len() * percent).div_ceil(100).saturating_sub(1);
        waits.get(index).copied().unwrap_or_default()
    }

    /// The mean time between two requests of one client.
    fn interval(&self) -> Option<Duration> {
        let requests = u32::try_from(self.latencies.len()).ok()?;
        let clients = u32::try_from(self.clients).ok()?;
        (self.elapsed * clients).checked_div(requests).filter(|interval| !interval.is_zero())
    }

    pub(crate) fn slowest(&self) -> Duration {
        self.latencies.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let latencies = (1..=200).map(Duration::from_millis).collect();
        let elapsed = Duration::from_secs(20);
        let seen = Seen { latencies, failures: 0, clients: 1, elapsed };
        assert_eq!(seen.percentile(50), Duration::from_millis(100));
        assert_eq!(seen.percentile(99), Duration::from_millis(198));
        assert_eq!((seen.slowest(), seen.requests()), (Duration::from_millis(200), 200));
        assert!((seen.per_second() - 10.0).abs() < f64::EPSILON);
    }

    /// A second of silence weighs as much as the requests that would have been made in it.
    #[test]
    fn a_stall_is_no_single_request() {
        let mut latencies = vec![Duration::from_millis(1); 1000];
        latencies.push(Duration::from_secs(1));
        let seen = Seen { latencies, failures: 0, clients: 1, elapsed: Duration::from_secs(2) };
        assert_eq!(seen.percentile(50), Duration::from_millis(1));
        assert!(seen.percentile(99) > Duration::from_millis(900));
    }

    /// A server that counts connections, and answers every third request wrongly.
    #[test]
    fn requests_connections_and_failures_are_counted() {
        static CONNECTED: AtomicUsize = AtomicUsize::new(0);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for number in 1.. {
                let (mut stream, _) = listener.accept().unwrap();
                CONNECTED.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0; 1024]).unwrap();
                let status = if number % 3 == 0 { "500 Oh" } else { "200 OK" };
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        });
        let load = Load { addresses: &[address], path: "/", purpose: Use::Once };
        assert_eq!(load.run_count(2).unwrap().requests(), 2);
        let error = load.run_count(3).unwrap_err().to_string();
        assert!(error.contains("1 requests"), "{error}");
        assert_eq!(CONNECTED.load(Ordering::Relaxed), 5);
    }
}
