//! What the settings of calls between processes mean together.

use std::net::SocketAddr;

use super::{Checker, Code, is_internal, meets};
use crate::config::types::JwtAlg;

impl Checker<'_> {
    pub(super) fn internal(&mut self) {
        let internal = &self.config.internal;
        if self.config.auth.jwt.alg == JwtAlg::Hs256 {
            let message =
                "needs EdDSA: under HS256 whoever checks tokens could make those of processes";
            if internal.bind.is_some() {
                self.refuse("internal.bind", Code::Combination, message);
            }
            if internal.identity.is_some() {
                self.refuse("internal.identity", Code::Combination, message);
            }
        }
        if let Some(bind) = internal.bind {
            self.internal_bind(bind);
        }
        if internal.identity.as_ref().is_some_and(|url| url.is_https()) {
            let message =
                "processes do not speak TLS to each other; use http on a network of their own";
            self.refuse("internal.identity", Code::BadValue, message);
        }
    }

    fn internal_bind(&mut self, bind: SocketAddr) {
        let config = self.config;
        if !is_internal(bind.ip()) {
            let message =
                "calls between processes on a public address; use a loopback or private one";
            self.refuse("internal.bind", Code::InternalBind, message);
        }
        let main = SocketAddr::from((config.http.listen, config.http.port));
        let others = [Some(main), config.grpc_address(), config.http.ops_listen];
        if others.into_iter().flatten().any(|other| meets(bind, other)) {
            let message = "the port of another listener";
            self.refuse("internal.bind", Code::Combination, message);
        }
    }
}
