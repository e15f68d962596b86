//! Broker endpoints that clients and workers connect to.

use majordomus_zmtp::Endpoint;

use crate::SetupError;

/// One or more broker endpoints. [`Client::connect`](crate::Client::connect) and
/// [`Worker::builder`](crate::Worker::builder) accept any implementation.
///
/// The trait is implemented for strings and [`Endpoint`]s, for arrays, slices and vectors of them,
/// and for references to all of these.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use majordomus::{Client, Endpoint};
///
/// let one = Client::connect("tcp://127.0.0.1:5555")?;
/// let two = Client::connect(["tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"])?;
/// let many = Client::connect(vec![String::from("ipc:///run/majordomus.sock")])?;
///
/// let read: Vec<Endpoint> = vec!["tcp://127.0.0.1:5555".parse()?];
/// let same = Client::connect(&read)?;
/// let first = Client::connect(&read[0])?;
/// # Ok(())
/// # }
/// ```
pub trait Endpoints {
    /// Returns the endpoints as strings.
    fn texts(&self) -> Vec<String>;
}

impl Endpoints for str {
    fn texts(&self) -> Vec<String> {
        vec![self.into()]
    }
}

impl Endpoints for String {
    fn texts(&self) -> Vec<String> {
        vec![self.clone()]
    }
}

impl Endpoints for Endpoint {
    fn texts(&self) -> Vec<String> {
        vec![self.to_string()]
    }
}

impl<T: Endpoints> Endpoints for [T] {
    fn texts(&self) -> Vec<String> {
        self.iter().flat_map(T::texts).collect()
    }
}

impl<T: Endpoints, const N: usize> Endpoints for [T; N] {
    fn texts(&self) -> Vec<String> {
        self.as_slice().texts()
    }
}

impl<T: Endpoints> Endpoints for Vec<T> {
    fn texts(&self) -> Vec<String> {
        self.as_slice().texts()
    }
}

impl<T: Endpoints + ?Sized> Endpoints for &T {
    fn texts(&self) -> Vec<String> {
        (**self).texts()
    }
}

/// Parses endpoints to connect to. At least one is required.
pub(crate) fn parse_all(texts: &[String]) -> Result<Vec<Endpoint>, SetupError> {
    if texts.is_empty() {
        return Err(SetupError::NoEndpoint);
    }
    texts.iter().map(|text| parse(text)).collect()
}

fn parse(text: &str) -> Result<Endpoint, SetupError> {
    match text.parse()? {
        endpoint @ Endpoint::Inproc { .. } if !cfg!(feature = "broker") => {
            Err(SetupError::InprocWithoutBroker(endpoint))
        }
        endpoint if endpoint.is_wildcard() => Err(SetupError::Wildcard(endpoint)),
        endpoint => Ok(endpoint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_several_in_any_form() {
        const A: &str = "tcp://a:1";
        fn check(endpoints: impl Endpoints, count: usize) {
            assert_eq!(endpoints.texts(), vec![A; count]);
        }
        let endpoint: Endpoint = A.parse().expect("an endpoint");
        let (text, pair) = (A.to_string(), [endpoint.clone(), endpoint.clone()]);
        let list = vec![text.clone(), text.clone()];
        check(A, 1);
        check(&text, 1);
        check(text.clone(), 1);
        check(&endpoint, 1);
        check(endpoint, 1);
        check([A, A], 2);
        check([&text, &text], 2);
        check(&list, 2);
        check(list, 2);
        check(&pair[..], 2);
        check(&pair, 2);
        check(pair.to_vec(), 2);
        check(pair, 2);
    }

    #[test]
    fn what_is_for_those_who_listen_is_refused() {
        for text in ["tcp://*:5555", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*"] {
            let endpoint = text.parse().expect(text);
            assert_eq!(parse(text), Err(SetupError::Wildcard(endpoint)));
        }
    }

    #[test]
    #[cfg(feature = "broker")]
    fn endpoints_in_this_process() {
        assert_eq!(parse("inproc://a"), Ok(Endpoint::Inproc { name: "a".into() }));
        assert!(matches!(parse("inproc://*"), Err(SetupError::Wildcard(_))));
    }

    #[test]
    #[cfg(not(feature = "broker"))]
    fn endpoints_in_this_process_need_the_feature() {
        let error = parse("inproc://a").expect_err("there is no broker").to_string();
        assert!(error.contains("inproc://a") && error.contains("feature `broker`"), "{error}");
    }
}
