//! What is asked of another server.

use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};

/// A call.
#[derive(Debug)]
pub struct Call {
    method: Method,
    pub(super) url: String,
    form: Option<Vec<(String, SecretString)>>,
    body: Option<Bytes>,
    headers: Vec<(&'static str, String)>,
    credential: Option<Credential>,
    pub(super) answer: Wanted,
}

/// How much of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it; one that is too long is an error.
    Whole,
    /// As much as the bounds allow; the rest is not read.
    Beginning,
}

#[derive(Debug)]
enum Credential {
    Basic(String, SecretString),
    Bearer(SecretString),
}

impl Call {
    /// Reads.
    pub fn get(url: &str) -> Self {
        Call {
            method: Method::GET,
            url: url.to_owned(),
            form: None,
            body: None,
            headers: Vec::new(),
            credential: None,
            answer: Wanted::Whole,
        }
    }

    /// Posts a form. Values may be codes and numbers, so they are never shown.
    pub fn form(url: &str, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| {
            let value = SecretString::from((*value).to_owned());
            ((*name).to_owned(), value)
        });
        Call {
            method: Method::POST,
            form: Some(fields.collect()),
            ..Call::get(url)
        }
    }

    /// Posts JSON.
    pub fn json(url: &str, body: Bytes) -> Self {
        Call {
            method: Method::POST,
            body: Some(body),
            headers: vec![("content-type", "application/json".to_owned())],
            ..Call::get(url)
        }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Only the beginning of the answer is read, as much as the bounds allow.
    #[must_use]
    pub fn beginning(mut self) -> Self {
        self.answer = Wanted::Beginning;
        self
    }

    /// With a name and a password.
    #[must_use]
    pub fn basic(mut self, name: &str, password: &SecretString) -> Self {
        self.credential = Some(Credential::Basic(name.to_owned(), password.clone()));
        self
    }

    /// With a token.
    #[must_use]
    pub fn bearer(mut self, token: &SecretString) -> Self {
        self.credential = Some(Credential::Bearer(token.clone()));
        self
    }

    /// As the client sends it.
    pub(super) fn request(self, client: &Client, url: Url) -> RequestBuilder {
        let mut request = client.request(self.method, url);
        if let Some(form) = &self.form {
            let fields = form
                .iter()
                .map(|(name, value)| (name, value.expose_secret()));
            request = request.form(&fields.collect::<Vec<_>>());
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        match &self.credential {
            Some(Credential::Basic(name, password)) => {
                request.basic_auth(name, Some(password.expose_secret()))
            }
            Some(Credential::Bearer(token)) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }
}
