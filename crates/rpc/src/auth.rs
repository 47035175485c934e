//! `auth.AuthService` over [`contracts::Auth`].

use std::sync::Arc;

use contracts::Auth;
use contracts::identity::{From, SendOtp, VerifyOtp};
use tonic::{Request, Response, Status};

use crate::call::{Call, MESSAGE_BYTES, end};
use crate::generated::auth_server::{AuthService, AuthServiceServer};
use crate::generated::messages::{
    LogoutAllDevicesRequest, LogoutAllDevicesResponse, RefreshTokenRequest, RefreshTokenResponse,
    RevokeCurrentDeviceRequest, RevokeCurrentDeviceResponse, SendOtpRequest, SendOtpResponse,
    ValidateTokenRequest, ValidateTokenResponse, VerifyOtpRequest, VerifyOtpResponse,
};

pub(crate) fn service(auth: Arc<dyn Auth>) -> AuthServiceServer<impl AuthService> {
    AuthServiceServer::new(Service { auth }).max_decoding_message_size(MESSAGE_BYTES)
}

struct Service {
    auth: Arc<dyn Auth>,
}

fn from<T>(call: &Call<T>) -> From {
    From {
        ip: call.meta.ip,
        user_agent: call.meta.user_agent.clone(),
    }
}

/// What was left out comes as an empty text.
fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[tonic::async_trait]
impl AuthService for Service {
    async fn send_otp(
        &self,
        request: Request<SendOtpRequest>,
    ) -> Result<Response<SendOtpResponse>, Status> {
        let call = Call::of(request)?;
        let from = from(&call);
        let Call { message, meta } = call;
        let sent = self
            .auth
            .send_otp(SendOtp {
                phone_number: message.phone_number,
                locale: given(message.locale),
                from,
            })
            .await;
        let answer = sent.map(|sent| SendOtpResponse {
            success: true,
            resend_after_seconds: sent.resend_after_seconds,
            handle: sent.handle,
        });
        end(answer, &meta)
    }

    async fn verify_otp(
        &self,
        request: Request<VerifyOtpRequest>,
    ) -> Result<Response<VerifyOtpResponse>, Status> {
        let call = Call::of(request)?;
        let from = from(&call);
        let Call { message, meta } = call;
        let verified = self
            .auth
            .verify_otp(VerifyOtp {
                phone_number: message.phone_number,
                handle: given(message.handle),
                otp_code: message.otp_code,
                second_factor: given(message.second_factor),
                device_name: given(message.device_name),
                device_type: given(message.device_type),
                push_notification_token: given(message.push_notification_token),
                from,
            })
            .await;
        let answer = verified.map(|pair| VerifyOtpResponse {
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            user_id: pair.user.to_string(),
            is_new_user: pair.is_new_user,
        });
        end(answer, &meta)
    }

    async fn validate_token(
        &self,
        request: Request<ValidateTokenRequest>,
    ) -> Result<Response<ValidateTokenResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        let user = self.auth.validate(&message.access_token, meta.ip).await;
        let answer = user.map(|user| ValidateTokenResponse {
            is_valid: user.is_some(),
            user_id: user.map(|user| user.to_string()).unwrap_or_default(),
        });
        end(answer, &meta)
    }

    async fn refresh_token(
        &self,
        request: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        let attempt = given(message.attempt_id);
        let next = self
            .auth
            .refresh(&message.refresh_token, attempt.as_deref())
            .await;
        let answer = next.map(|pair| RefreshTokenResponse {
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
        });
        end(answer, &meta)
    }

    async fn revoke_current_device(
        &self,
        request: Request<RevokeCurrentDeviceRequest>,
    ) -> Result<Response<RevokeCurrentDeviceResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        let revoked = self.auth.revoke_current_device(&message.refresh_token);
        let answer = revoked
            .await
            .map(|()| RevokeCurrentDeviceResponse { success: true });
        end(answer, &meta)
    }

    async fn logout_all_devices(
        &self,
        request: Request<LogoutAllDevicesRequest>,
    ) -> Result<Response<LogoutAllDevicesResponse>, Status> {
        let Call { message, meta } = Call::of(request)?;
        let out = self.auth.log_out_everywhere(&message.access_token);
        let answer = out
            .await
            .map(|()| LogoutAllDevicesResponse { success: true });
        end(answer, &meta)
    }
}
