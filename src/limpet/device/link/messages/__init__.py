"""Requests and replies between the roles of one device.

Every message is a frozen tagged struct, at most `MESSAGE_BYTES` as MessagePack.
One module a topic; this package gives them all under one name, and the two
unions that a link decodes. Which role may send which request to which other is
`limpet.device.link.permits`.
"""

from limpet.device.link.messages.announcing import Announce
from limpet.device.link.messages.credentials import (
    Authenticate,
    ChangePassword,
    Claim,
    ClaimCode,
    CreateToken,
    EventLog,
    ListTokens,
    Login,
    Logout,
    MintClaimCode,
    Principal,
    ReadEvents,
    RevokeToken,
    SessionOpened,
    TokenList,
    TokenRecord,
)
from limpet.device.link.messages.functions import (
    AcknowledgeNotice,
    CallFunction,
    CheckHealth,
    DescribeFunctions,
    Functions,
    Health,
    ListNotices,
    Notice,
    Notices,
)
from limpet.device.link.messages.identity import (
    Certificate,
    EnrollCertificate,
    EnrollFeed,
    EnrollStart,
    EnrollStep,
    GenerateIdentity,
    IdentityRequest,
    StoreIdentity,
)
from limpet.device.link.messages.life import (
    MAX_REST_SECONDS,
    Confinement,
    LogEvent,
    Ping,
    Ready,
    Rest,
    Stop,
    Violation,
)
from limpet.device.link.messages.ownership import (
    AcceptTransfer,
    CancelTakeover,
    CancelTransfer,
    DescribeAccounts,
    DescribeOwnership,
    FactoryReset,
    OfferTransfer,
    PressButton,
    TakeOver,
)
from limpet.device.link.messages.people import (
    AcceptInvitation,
    BeginSecondFactor,
    ChangeAccess,
    ConfirmSecondFactor,
    DescribeAccount,
    DisableSecondFactor,
    InvitePerson,
    ListPeople,
    RemovePerson,
    WithdrawInvitation,
)
from limpet.device.link.messages.starting import (
    Activate,
    BootRecord,
    ConfirmTrial,
    EraseData,
    ReadBootRecord,
    RejectTrial,
)
from limpet.device.link.messages.terms import (
    MESSAGE_BYTES,
    Access,
    Answer,
    ClaimState,
    Done,
    Name,
    Refused,
    Secret,
    Text,
)
from limpet.device.link.messages.updates import (
    AllowRemoteFunctions,
    CheckNow,
    Fetching,
    Held,
    InstallNow,
    MakeRoom,
    PostponeUpdates,
    ReadUpdateStatus,
    SetUpdatePolicy,
    UpdatePolicy,
    UpdateProxy,
    UpdateStatus,
    Window,
)

__all__ = [
    "MAX_REST_SECONDS",
    "MESSAGE_BYTES",
    "AcceptInvitation",
    "AcceptTransfer",
    "Access",
    "AcknowledgeNotice",
    "Activate",
    "AllowRemoteFunctions",
    "Announce",
    "Answer",
    "Authenticate",
    "BeginSecondFactor",
    "BootRecord",
    "CallFunction",
    "CancelTakeover",
    "CancelTransfer",
    "Certificate",
    "ChangeAccess",
    "ChangePassword",
    "CheckHealth",
    "CheckNow",
    "Claim",
    "ClaimCode",
    "ClaimState",
    "Confinement",
    "ConfirmSecondFactor",
    "ConfirmTrial",
    "CreateToken",
    "DescribeAccount",
    "DescribeAccounts",
    "DescribeFunctions",
    "DescribeOwnership",
    "DisableSecondFactor",
    "Done",
    "EnrollCertificate",
    "EnrollFeed",
    "EnrollStart",
    "EnrollStep",
    "EraseData",
    "EventLog",
    "FactoryReset",
    "Fetching",
    "Functions",
    "GenerateIdentity",
    "Health",
    "Held",
    "IdentityRequest",
    "InstallNow",
    "InvitePerson",
    "ListNotices",
    "ListPeople",
    "ListTokens",
    "LogEvent",
    "Login",
    "Logout",
    "MakeRoom",
    "MintClaimCode",
    "Name",
    "Notice",
    "Notices",
    "OfferTransfer",
    "Ping",
    "PostponeUpdates",
    "PressButton",
    "Principal",
    "ReadBootRecord",
    "ReadEvents",
    "ReadUpdateStatus",
    "Ready",
    "Refused",
    "RejectTrial",
    "RemovePerson",
    "Reply",
    "Request",
    "Rest",
    "RevokeToken",
    "Secret",
    "SessionOpened",
    "SetUpdatePolicy",
    "Stop",
    "StoreIdentity",
    "TakeOver",
    "Text",
    "TokenList",
    "TokenRecord",
    "UpdatePolicy",
    "UpdateProxy",
    "UpdateStatus",
    "Violation",
    "Window",
    "WithdrawInvitation",
]

Request = (
    Ping | Stop | Ready | Rest | Violation | LogEvent
    | Claim | Login | Authenticate | Logout | ChangePassword | CreateToken | ListTokens
    | RevokeToken | DescribeAccounts | FactoryReset | ReadEvents
    | DescribeAccount | ListPeople | InvitePerson | AcceptInvitation | WithdrawInvitation
    | ChangeAccess | RemovePerson | BeginSecondFactor | ConfirmSecondFactor | DisableSecondFactor
    | DescribeOwnership | OfferTransfer | CancelTransfer | AcceptTransfer | TakeOver
    | CancelTakeover | PressButton
    | DescribeFunctions | CallFunction | CheckHealth | ListNotices | AcknowledgeNotice
    | AllowRemoteFunctions | MakeRoom | ReadUpdateStatus | SetUpdatePolicy | PostponeUpdates
    | CheckNow | InstallNow | EnrollCertificate
    | EnrollStart | EnrollFeed | GenerateIdentity | StoreIdentity
    | Announce
    | Activate | ConfirmTrial | RejectTrial | ReadBootRecord | EraseData | MintClaimCode
)  # fmt: skip
"""Everything that one role may ask of another, subject to the table of permits."""

Reply = (
    Done | Refused | Answer | SessionOpened | Principal | TokenList | EventLog | Functions
    | Health | Notices | UpdateStatus | Certificate | EnrollStep | IdentityRequest | BootRecord
    | ClaimCode
)  # fmt: skip
"""Everything that a role may answer."""
