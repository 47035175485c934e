"""S25: the six calls of `auth.AuthService` from a stock client, in development mode.

Requests have the first fields alone, as old clients send them; what was added may be absent.
"""

import time
import unittest

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import stubs
from server import Server

CODE = "123456"
PHONE = "+905551234567"
OTHER_PHONE = "+905551234568"
ANSWER_WITHIN = 15

pb, pb_grpc = stubs.generate()


def detail(error: grpc.RpcError, kind):
    """The detail of this kind in an error's status, or none."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else ():
        found = kind()
        if packed.Unpack(found):
            return found
    return None


class AuthService(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        cls.addClassCleanup(cls.server.close)
        channel = grpc.insecure_channel(cls.server.grpc)
        cls.addClassCleanup(channel.close)
        cls.stub = pb_grpc.AuthServiceStub(channel)

    def call(self, name, **fields):
        request = getattr(pb, f"{name}Request")(**fields)
        return getattr(self.stub, name)(request, timeout=ANSWER_WITHIN)

    def refused(self, code, name, **fields):
        """A call that must end with this code; gives the stable reason."""
        with self.assertRaises(grpc.RpcError) as caught:
            self.call(name, **fields)
        error = caught.exception
        self.assertEqual(error.code(), code, error.details())
        info = detail(error, error_details_pb2.ErrorInfo)
        self.assertEqual(info.domain, "meydan")
        return info.reason

    def send(self, phone):
        """Asks for a code; a client that is told to wait waits."""
        deadline = time.monotonic() + 90
        while True:
            try:
                return self.call("SendOTP", phone_number=phone)
            except grpc.RpcError as error:
                self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
                pause = detail(error, error_details_pb2.RetryInfo).retry_delay
                wait = pause.seconds + pause.nanos / 1e9
                self.assertLess(time.monotonic() + wait, deadline)
                time.sleep(wait)

    def log_in(self, phone):
        self.assertTrue(self.send(phone).success)
        return self.call("VerifyOTP", phone_number=phone, otp_code=CODE)

    def validity(self, token):
        answer = self.call("ValidateToken", access_token=token)
        return answer.is_valid, answer.user_id

    def test_s25_the_quick_start(self):
        unauthenticated = grpc.StatusCode.UNAUTHENTICATED
        sent = self.send(PHONE)
        self.assertTrue(sent.success)
        self.assertGreater(sent.resend_after_seconds, 0)
        wrong = {"phone_number": PHONE, "otp_code": "654321"}
        self.assertEqual(self.refused(unauthenticated, "VerifyOTP", **wrong), "OTP_INVALID")
        first = self.call("VerifyOTP", phone_number=PHONE, otp_code=CODE)
        self.assertTrue(first.is_new_user)
        self.assertTrue(first.user_id.isdecimal())
        again = {"phone_number": PHONE, "otp_code": CODE}
        self.assertEqual(self.refused(unauthenticated, "VerifyOTP", **again), "OTP_INVALID")

        with self.subTest("an access token is valid, anything else is not and no error"):
            self.assertEqual(self.validity(first.access_token), (True, first.user_id))
            for bad in ("", "rubbish", first.access_token + "x", first.refresh_token):
                self.assertEqual(self.validity(bad), (False, ""))

        with self.subTest("each kind of token is good for its own calls only"):
            self.refused(unauthenticated, "RefreshToken", refresh_token=first.access_token)
            self.refused(unauthenticated, "RevokeCurrentDevice", refresh_token=first.access_token)
            self.refused(unauthenticated, "LogoutAllDevices", access_token=first.refresh_token)

        with self.subTest("a refresh token works once"):
            second = self.call("RefreshToken", refresh_token=first.refresh_token)
            self.assertNotEqual(second.refresh_token, first.refresh_token)
            self.assertEqual(self.validity(second.access_token), (True, first.user_id))
            spent = {"refresh_token": first.refresh_token}
            self.assertEqual(
                self.refused(unauthenticated, "RefreshToken", **spent), "REFRESH_ROTATED"
            )

        with self.subTest("a device that was logged out is out, and may be logged out again"):
            mine = {"refresh_token": second.refresh_token}
            self.assertTrue(self.call("RevokeCurrentDevice", **mine).success)
            self.assertEqual(
                self.refused(unauthenticated, "RefreshToken", **mine), "REFRESH_INVALID"
            )
            self.assertEqual(self.validity(second.access_token), (False, ""))
            self.assertTrue(self.call("RevokeCurrentDevice", **mine).success)

        with self.subTest("whoever comes back is known, and logs out everywhere"):
            known = self.log_in(PHONE)
            self.assertFalse(known.is_new_user)
            self.assertEqual(known.user_id, first.user_id)
            everywhere = {"access_token": known.access_token}
            self.assertTrue(self.call("LogoutAllDevices", **everywhere).success)
            self.refused(unauthenticated, "RefreshToken", refresh_token=known.refresh_token)
            self.assertEqual(self.validity(known.access_token), (False, ""))

    def test_a_login_ends_sockets_and_rest_too(self):
        pair = self.log_in(OTHER_PHONE)
        status, me = self.server.call("GET", "/v1/users/@me", token=pair.access_token)
        self.assertEqual((status, me["id"]), (200, pair.user_id))
        self.call("LogoutAllDevices", access_token=pair.access_token)
        status, _ = self.server.call("GET", "/v1/users/@me", token=pair.access_token)
        self.assertEqual(status, 401)

    def test_errors_name_what_is_wrong_in_the_callers_language(self):
        request = pb.SendOTPRequest(phone_number="not a number")
        with self.assertRaises(grpc.RpcError) as caught:
            self.stub.SendOTP(
                request, timeout=ANSWER_WITHIN, metadata=(("accept-language", "tr"),)
            )
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        message = detail(caught.exception, error_details_pb2.LocalizedMessage)
        self.assertEqual(message.locale, "tr")
        self.assertNotEqual(message.message, caught.exception.details())


if __name__ == "__main__":
    unittest.main()
