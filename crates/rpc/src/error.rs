//! The errors of this crate.

kernel::error_rows! {
    CALL_TIMEOUT, Timeout, 0,
        "the call was not answered before its deadline; what it asked for may still have happened",
        "çağrı süresi dolmadan yanıtlanamadı; istediği şey yine de olmuş olabilir";
}
