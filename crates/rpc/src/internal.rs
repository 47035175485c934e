//! `meydan.internal.v1.Credentials` over [`contracts::Credentials`] and [`contracts::ServiceTokens`].

use std::sync::Arc;

use contracts::identity::{From, ServiceProof};
use contracts::{Credentials, ServiceTokens};
use jiff::Timestamp;
use kernel::failure::INVALID_REQUEST;
use kernel::{DeviceId, Failure, FieldError, UserId};
use tonic::{Request, Response, Status};

use crate::call::{Call, MESSAGE_BYTES, end};
use crate::generated::credentials_server::{self, CredentialsServer};
use crate::generated::internal_messages::{
    AccessForCookieRequest, AccessForCookieResponse, DeviceIsLiveRequest, DeviceIsLiveResponse,
    KeysRequest, KeysResponse, ResolveApiKeyRequest, ResolveApiKeyResponse, RevokedSinceRequest,
    RevokedSinceResponse, RolesRequest, RolesResponse, ServiceTokenRequest, ServiceTokenResponse,
    TakeTicketRequest, TakeTicketResponse, WaysToStepUpRequest, WaysToStepUpResponse,
    keys_response, resolve_api_key_response,
};

pub(crate) fn service(
    credentials: Arc<dyn Credentials>,
    tokens: Arc<dyn ServiceTokens>,
) -> CredentialsServer<impl credentials_server::Credentials> {
    CredentialsServer::new(Service {
        credentials,
        tokens,
    })
    .max_decoding_message_size(MESSAGE_BYTES)
}

struct Service {
    credentials: Arc<dyn Credentials>,
    tokens: Arc<dyn ServiceTokens>,
}

/// Bytes of the one length that a field may have.
fn exactly<const N: usize>(field: &str, bytes: &[u8]) -> Result<[u8; N], Failure> {
    bytes.try_into().map_err(|_wrong_length| {
        let error = FieldError::new(format!("/{field}"), "BAD_LENGTH", format!("{N} bytes"));
        INVALID_REQUEST.fail().field(error)
    })
}

fn bad(field: &str, detail: &str) -> Failure {
    let error = FieldError::new(format!("/{field}"), "BAD_FORMAT", detail);
    INVALID_REQUEST.fail().field(error)
}

impl Service {
    async fn give_token(
        &self,
        asked: ServiceTokenRequest,
    ) -> Result<ServiceTokenResponse, Failure> {
        let proof = ServiceProof {
            service: asked.service,
            at: asked.at,
            nonce: exactly("nonce", &asked.nonce)?,
            mac: exactly("mac", &asked.mac)?,
        };
        let given = self.tokens.service_token(&proof).await?;
        Ok(ServiceTokenResponse {
            token: given.token,
            expires_in_seconds: given.expires_in.as_secs().try_into().unwrap_or(u32::MAX),
        })
    }

    async fn list_keys(&self) -> Result<KeysResponse, Failure> {
        let keys = self.credentials.keys().await?.into_iter();
        let keys = keys.map(|key| keys_response::Key {
            kid: key.kid,
            ed25519: key.public.to_vec(),
        });
        Ok(KeysResponse {
            keys: keys.collect(),
        })
    }

    async fn list_revoked(
        &self,
        asked: RevokedSinceRequest,
    ) -> Result<RevokedSinceResponse, Failure> {
        let since = Timestamp::from_microsecond(asked.since);
        let since = since.or(Err(bad("since", "a moment of the calendar")))?;
        let devices = self.credentials.revoked_since(since).await?;
        Ok(RevokedSinceResponse {
            device_ids: devices.into_iter().map(DeviceId::get).collect(),
        })
    }

    async fn find_key(
        &self,
        asked: ResolveApiKeyRequest,
    ) -> Result<ResolveApiKeyResponse, Failure> {
        let sha256 = exactly("sha256", &asked.sha256)?;
        let caller = self.credentials.resolve_api_key(sha256).await?;
        Ok(ResolveApiKeyResponse {
            key: caller.map(|caller| resolve_api_key_response::Key {
                owner_id: caller.user.get(),
                scopes: caller.scopes,
            }),
        })
    }

    async fn open_cookie(
        &self,
        asked: AccessForCookieRequest,
    ) -> Result<AccessForCookieResponse, Failure> {
        let sha256 = exactly("sha256", &asked.sha256)?;
        let from = From {
            ip: asked.ip.parse().or(Err(bad("ip", "an IP address")))?,
            user_agent: asked.user_agent,
        };
        let access_token = self.credentials.access_for_cookie(sha256, &from).await?;
        Ok(AccessForCookieResponse { access_token })
    }

    async fn open_ticket(&self, asked: TakeTicketRequest) -> Result<TakeTicketResponse, Failure> {
        let sha256 = exactly("sha256", &asked.sha256)?;
        let access_token = self.credentials.take_ticket(sha256).await?;
        Ok(TakeTicketResponse { access_token })
    }

    async fn look_at(&self, asked: DeviceIsLiveRequest) -> Result<DeviceIsLiveResponse, Failure> {
        let device = DeviceId::new(asked.device_id);
        let is_live = self.credentials.device_is_live(device).await?;
        Ok(DeviceIsLiveResponse { is_live })
    }

    async fn list_ways(&self, asked: WaysToStepUpRequest) -> Result<WaysToStepUpResponse, Failure> {
        let user = UserId::new(asked.user_id);
        let ways = self.credentials.ways_to_step_up(user).await?;
        Ok(WaysToStepUpResponse {
            ways: ways.into_iter().map(ToOwned::to_owned).collect(),
        })
    }

    async fn list_roles(&self, asked: RolesRequest) -> Result<RolesResponse, Failure> {
        let roles = self.credentials.roles(UserId::new(asked.user_id)).await?;
        Ok(RolesResponse {
            roles: roles.iter().map(ToString::to_string).collect(),
        })
    }
}

#[tonic::async_trait]
impl credentials_server::Credentials for Service {
    async fn service_token(
        &self,
        request: Request<ServiceTokenRequest>,
    ) -> Result<Response<ServiceTokenResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        end(self.give_token(message).await, &meta)
    }

    async fn keys(&self, request: Request<KeysRequest>) -> Result<Response<KeysResponse>, Status> {
        let Call { message: _, meta } = Call::of(request)?;
        end(self.list_keys().await, &meta)
    }

    async fn revoked_since(
        &self,
        request: Request<RevokedSinceRequest>,
    ) -> Result<Response<RevokedSinceResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        end(self.list_revoked(message).await, &meta)
    }

    async fn resolve_api_key(
        &self,
        request: Request<ResolveApiKeyRequest>,
    ) -> Result<Response<ResolveApiKeyResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        end(self.find_key(message).await, &meta)
    }

    async fn access_for_cookie(
        &self,
        request: Request<AccessForCookieRequest>,
    ) -> Result<Response<AccessForCookieResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        end(self.open_cookie(message).await, &meta)
    }

    async fn take_ticket(
        &self,
        request: Request<TakeTicketRequest>,
    ) -> Result<Response<TakeTicketResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        end(self.open_ticket(message).await, &meta)
    }

    async fn device_is_live(
        &self,
        request: Request<DeviceIsLiveRequest>,
    ) -> Result<Response<DeviceIsLiveResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        end(self.look_at(message).await, &meta)
    }

    async fn ways_to_step_up(
        &self,
        request: Request<WaysToStepUpRequest>,
    ) -> Result<Response<WaysToStepUpResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        end(self.list_ways(message).await, &meta)
    }

    async fn roles(
        &self,
        request: Request<RolesRequest>,
    ) -> Result<Response<RolesResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        end(self.list_roles(message).await, &meta)
    }
}
