//! Which methods there are for whom. What is not listed here is refused.

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Everybody. The `authorization` header is not looked at.
    Public,
    /// Who shows a valid access token.
    Caller,
    /// A process of this installation: it shows a service token in `x-meydan-service`. The access
    /// token of an end user may stand beside it, and then the rights are that user's.
    Internal,
}

/// A method that may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its full name, as it stands in the request's path.
    pub path: &'static str,
    /// Who may call it.
    pub policy: Policy,
}

const fn public(path: &'static str) -> Method {
    Method {
        path,
        policy: Policy::Public,
    }
}

const fn internal(path: &'static str) -> Method {
    Method {
        path,
        policy: Policy::Internal,
    }
}

/// Every method that may be called by clients. Those of `auth.AuthService` prove with what is in their message
/// who asks; reflection is served in development only.
pub const METHODS: &[Method] = &[
    public("/auth.AuthService/SendOTP"),
    public("/auth.AuthService/VerifyOTP"),
    public("/auth.AuthService/ValidateToken"),
    public("/auth.AuthService/RefreshToken"),
    public("/auth.AuthService/RevokeCurrentDevice"),
    public("/auth.AuthService/LogoutAllDevices"),
    public("/grpc.health.v1.Health/Check"),
    public("/grpc.health.v1.Health/Watch"),
    public("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    public("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
];

/// Every method that other processes of this installation may call, on a listener of their own.
/// `ServiceToken` proves with what is in its message who asks.
pub const INTERNAL_METHODS: &[Method] = &[
    public("/meydan.internal.v1.Credentials/ServiceToken"),
    internal("/meydan.internal.v1.Credentials/Keys"),
    internal("/meydan.internal.v1.Credentials/RevokedSince"),
    internal("/meydan.internal.v1.Credentials/ResolveApiKey"),
    internal("/meydan.internal.v1.Credentials/AccessForCookie"),
    internal("/meydan.internal.v1.Credentials/TakeTicket"),
    internal("/meydan.internal.v1.Credentials/DeviceIsLive"),
    internal("/meydan.internal.v1.Credentials/WaysToStepUp"),
    internal("/meydan.internal.v1.Credentials/Roles"),
];

pub(crate) fn find(methods: &'static [Method], path: &str) -> Option<Method> {
    methods.iter().find(|method| method.path == path).copied()
}
