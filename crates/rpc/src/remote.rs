//! [`contracts::Credentials`] by asking the process that runs identity.
//!
//! Whatever keeps it from answering is UNAVAILABLE here, also its refusal of this process: a
//! client's token is bad only when identity says so in an answer.

mod badge;
mod breaker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::Uri;
use contracts::Credentials;
use contracts::identity::{From, ServiceProof, SigningKey, WAYS_TO_STEP_UP};
use jiff::Timestamp;
use kernel::failure::UNAVAILABLE;
use kernel::{Caller, DeviceId, Failure, PlatformRole, SharedClock, SharedRng, UserId};
use runtime::Backoff;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::gate::SERVICE_TOKEN;
use crate::generated::credentials_client::CredentialsClient;
use crate::generated::internal_messages::{
    AccessForCookieRequest, DeviceIsLiveRequest, KeysRequest, ResolveApiKeyRequest,
    RevokedSinceRequest, RolesRequest, TakeTicketRequest, WaysToStepUpRequest,
    resolve_api_key_response::Key,
};
use crate::status;

use badge::Badge;
use breaker::Breaker;

/// Longest time for one question, with all its attempts.
const DEADLINE: Duration = Duration::from_secs(2);
/// Longest time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// How often a silent connection is asked whether it lives, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_WITHIN: Duration = Duration::from_secs(2);
/// The pauses between attempts.
const ATTEMPTS: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(200), 3);
/// Largest answer that is read: half a million revocations, as many as a verifier remembers.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Most questions under way; the others wait for their turn, within the same deadline.
const QUESTIONS: usize = 256;

/// Makes a fresh proof that this process knows the root secret.
pub type Prove = Arc<dyn Fn() -> ServiceProof + Send + Sync>;

/// See the module's text.
pub struct Remote {
    client: CredentialsClient<Channel>,
    badge: Badge,
    breaker: Breaker,
    turns: Semaphore,
    rng: SharedRng,
}

/// Whether a question whose answer was lost may be asked again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Yes,
    /// It uses something up.
    No,
}

impl Remote {
    /// A client of the process at `address`, a scheme and an authority. Nothing is connected yet:
    /// questions do that, now and whenever the connection was lost. Call it inside a runtime.
    pub fn new(address: Uri, prove: Prove, clock: SharedClock, rng: SharedRng) -> Arc<Self> {
        let channel = Endpoint::from(address)
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WITHIN)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Arc::new(Remote {
            client: CredentialsClient::new(channel).max_decoding_message_size(ANSWER_BYTES),
            badge: Badge::new(prove, clock),
            breaker: Breaker::default(),
            turns: Semaphore::new(QUESTIONS),
            rng,
        })
    }

    /// Asks one question; `method` is its name.
    async fn ask<Q, A, F>(
        &self,
        method: &'static str,
        again: Again,
        question: Q,
        call: impl Fn(CredentialsClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, Failure>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let begun = Instant::now();
        let answer = if self.breaker.admits(begun) {
            let attempts = self.attempts(again, question, call);
            let answer = tokio::time::timeout(DEADLINE, attempts).await;
            let answer = answer.unwrap_or_else(|_elapsed| {
                Err(Status::deadline_exceeded("identity did not answer in time"))
            });
            match &answer {
                Err(status) if is_away(status.code()) => self.breaker.unanswered(Instant::now()),
                Ok(_) | Err(_) => self.breaker.answered(),
            }
            answer
        } else {
            Err(Status::unavailable("identity did not answer of late"))
        };
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        metrics::counter!(
            "meydan_grpc_client_calls_total", "method" => method, "code" => status::name(code)
        )
        .increment(1);
        metrics::histogram!("meydan_grpc_client_call_duration_seconds", "method" => method)
            .record(begun.elapsed().as_secs_f64());
        answer.map_err(|status| UNAVAILABLE.fail().because(status))
    }

    async fn attempts<Q, A, F>(
        &self,
        again: Again,
        question: Q,
        call: impl Fn(CredentialsClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, Status>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let _turn = self.turns.acquire().await;
        let may_pass = |status: &Status| match status.code() {
            // Refused at the gate: nothing has happened, and the next attempt has a new token.
            Code::Unauthenticated => true,
            code => again == Again::Yes && is_away(code),
        };
        runtime::retry(ATTEMPTS, &*self.rng, may_pass, || async {
            let token = self.badge.token(&self.client).await?;
            let mut request = Request::new(question.clone());
            request.set_timeout(DEADLINE);
            request.metadata_mut().insert(SERVICE_TOKEN, token.clone());
            let answer = call(self.client.clone(), request).await;
            if answer
                .as_ref()
                .is_err_and(|it| it.code() == Code::Unauthenticated)
            {
                self.badge.forget(&token).await;
            }
            answer.map(Response::into_inner)
        })
        .await
    }
}

/// Whether nobody answered. The last two are what a connection that breaks looks like; our servers
/// never say them.
fn is_away(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled
    )
}

/// An answer that does not mean anything here.
fn unreadable(what: &'static str) -> Failure {
    UNAVAILABLE.fail().because(what)
}

#[async_trait]
impl Credentials for Remote {
    async fn keys(&self) -> Result<Vec<SigningKey>, Failure> {
        let call = |mut client: CredentialsClient<_>, it| async move { client.keys(it).await };
        let answer = self.ask("Keys", Again::Yes, KeysRequest {}, call).await?;
        let keys = answer.keys.into_iter().map(|key| {
            let public = key.ed25519.try_into();
            let public = public.or(Err(unreadable("a key of another length")))?;
            Ok(SigningKey {
                kid: key.kid,
                public,
            })
        });
        keys.collect()
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<DeviceId>, Failure> {
        let question = RevokedSinceRequest {
            since: since.as_microsecond(),
        };
        let call =
            |mut client: CredentialsClient<_>, it| async move { client.revoked_since(it).await };
        let answer = self.ask("RevokedSince", Again::Yes, question, call).await?;
        Ok(answer.device_ids.into_iter().map(DeviceId::new).collect())
    }

    async fn device_is_live(&self, device: DeviceId) -> Result<bool, Failure> {
        let question = DeviceIsLiveRequest {
            device_id: device.get(),
        };
        let call =
            |mut client: CredentialsClient<_>, it| async move { client.device_is_live(it).await };
        let answer = self.ask("DeviceIsLive", Again::Yes, question, call).await?;
        Ok(answer.is_live)
    }

    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        let question = ResolveApiKeyRequest {
            sha256: sha256.to_vec(),
        };
        let call =
            |mut client: CredentialsClient<_>, it| async move { client.resolve_api_key(it).await };
        let answer = self
            .ask("ResolveApiKey", Again::Yes, question, call)
            .await?;
        let caller = |key: Key| Caller::api_key(UserId::new(key.owner_id), key.scopes);
        Ok(answer.key.map(caller))
    }

    async fn access_for_cookie(
        &self,
        sha256: [u8; 32],
        from: &From,
    ) -> Result<Option<String>, Failure> {
        let question = AccessForCookieRequest {
            sha256: sha256.to_vec(),
            ip: from.ip.to_string(),
            user_agent: from.user_agent.clone(),
        };
        let call = |mut client: CredentialsClient<_>, it| async move {
            client.access_for_cookie(it).await
        };
        let answer = self
            .ask("AccessForCookie", Again::Yes, question, call)
            .await?;
        Ok(answer.access_token)
    }

    async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>, Failure> {
        let question = WaysToStepUpRequest {
            user_id: user.get(),
        };
        let call =
            |mut client: CredentialsClient<_>, it| async move { client.ways_to_step_up(it).await };
        let answer = self.ask("WaysToStepUp", Again::Yes, question, call).await?;
        // A newer identity may know a way that this process does not.
        let known = |way: &String| WAYS_TO_STEP_UP.into_iter().find(|word| word == way);
        Ok(answer.ways.iter().filter_map(known).collect())
    }

    async fn take_ticket(&self, sha256: [u8; 32]) -> Result<Option<String>, Failure> {
        let question = TakeTicketRequest {
            sha256: sha256.to_vec(),
        };
        let call =
            |mut client: CredentialsClient<_>, it| async move { client.take_ticket(it).await };
        let answer = self.ask("TakeTicket", Again::No, question, call).await?;
        Ok(answer.access_token)
    }

    async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure> {
        let question = RolesRequest {
            user_id: user.get(),
        };
        let call = |mut client: CredentialsClient<_>, it| async move { client.roles(it).await };
        let answer = self.ask("Roles", Again::Yes, question, call).await?;
        let known = |word: &String| PlatformRole::from_word(word);
        Ok(answer.roles.iter().filter_map(known).collect())
    }
}
