//! The errors of this crate.

kernel::error_rows! {
    CALL_TIMEOUT, Timeout, 0,
        "the call was not answered before its deadline; what it asked for may still have happened",
        "çağrı süresi dolmadan yanıtlanamadı; istediği şey yine de olmuş olabilir";
    SERVICE_TOKEN_INVALID, Unauthenticated, 0,
        "the service token is missing, expired or not one of this installation",
        "hizmet belirteci yok, süresi dolmuş ya da bu kuruluma ait değil";
}
