"""The one table of who may ask whom for what; what is not in it is a violation.

OpenSSH's monitor and OpenSMTPD's `smtpd.c` keep the same table in the same
spirit: ten visible lines that a reviewer can hold in mind.
"""

from collections.abc import Mapping

from limpet.device.link import messages as m
from limpet.device.link.roles import Role

__all__ = ["PERMITS", "Role", "is_permitted", "peers_of"]


_TO_SUPERVISOR = frozenset({m.Ready, m.Violation, m.LogEvent})
_FROM_SUPERVISOR = frozenset({m.Ping, m.Stop})

PERMITS: Mapping[tuple[Role, Role], frozenset[type]] = {
    (Role.GATEWAY, Role.ACCOUNTS): frozenset(
        {
            m.Claim, m.Login, m.Authenticate, m.Logout, m.ChangePassword, m.CreateToken,
            m.ListTokens, m.RevokeToken, m.DescribeAccounts, m.FactoryReset, m.ReadEvents,
            m.DescribeAccount, m.ListPeople, m.InvitePerson, m.AcceptInvitation,
            m.WithdrawInvitation, m.ChangeAccess, m.RemovePerson, m.BeginSecondFactor,
            m.ConfirmSecondFactor, m.DisableSecondFactor, m.DescribeOwnership, m.OfferTransfer,
            m.CancelTransfer, m.AcceptTransfer, m.TakeOver, m.CancelTakeover,
        }
    ),
    (Role.GATEWAY, Role.APP): frozenset(
        {m.DescribeFunctions, m.CallFunction, m.ListNotices, m.AcknowledgeNotice}
    ),
    (Role.GATEWAY, Role.UPDATER): frozenset(
        {
            m.ReadUpdateStatus, m.SetUpdatePolicy, m.PostponeUpdates, m.CheckNow, m.InstallNow,
            m.EnrollCertificate,
        }
    ),
    (Role.GATEWAY, Role.ANNOUNCER): frozenset({m.Announce}),
    (Role.UPDATER, Role.KEEPER): frozenset({m.EnrollStart, m.EnrollFeed}),
    (Role.UPDATER, Role.APP): frozenset({m.CheckHealth}),
    (Role.UPDATER, Role.SUPERVISOR): _TO_SUPERVISOR
    | {
        m.Rest, m.Activate, m.ConfirmTrial, m.RejectTrial, m.ReadBootRecord, m.AllowRemoteFunctions,
        m.MakeRoom,
    },
    (Role.ACCOUNTS, Role.SUPERVISOR): _TO_SUPERVISOR | {m.EraseData, m.Rest},
    (Role.GATEWAY, Role.SUPERVISOR): _TO_SUPERVISOR,
    (Role.ANNOUNCER, Role.SUPERVISOR): _TO_SUPERVISOR | {m.Rest},
    (Role.KEEPER, Role.SUPERVISOR): _TO_SUPERVISOR | {m.Rest},
    (Role.APP, Role.SUPERVISOR): _TO_SUPERVISOR,
    (Role.SUPERVISOR, Role.KEEPER): _FROM_SUPERVISOR | {m.GenerateIdentity, m.StoreIdentity},
    (Role.SUPERVISOR, Role.ACCOUNTS): _FROM_SUPERVISOR | {m.MintClaimCode, m.PressButton},
    (Role.SUPERVISOR, Role.APP): _FROM_SUPERVISOR,
    (Role.SUPERVISOR, Role.UPDATER): _FROM_SUPERVISOR,
    (Role.SUPERVISOR, Role.GATEWAY): _FROM_SUPERVISOR,
    (Role.SUPERVISOR, Role.ANNOUNCER): _FROM_SUPERVISOR,
}  # fmt: skip


def peers_of(role: Role) -> frozenset[Role]:
    """The roles that `role` has a link to, in either direction of asking."""
    asked = {callee for caller, callee in PERMITS if caller is role}
    return frozenset(asked | {caller for caller, callee in PERMITS if callee is role})


def is_permitted(caller: Role, callee: Role, request: object) -> bool:
    """Whether `caller` may send `request` to `callee`; anything not in the table may not."""
    return type(request) in PERMITS.get((caller, callee), frozenset())
