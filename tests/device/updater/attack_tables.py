"""All tables of attacks, in the order of the page."""

from dataclasses import dataclass

from tests.device.updater.attacks import Attack
from tests.device.updater.attacks_by_server import SERVER_ATTACKS
from tests.device.updater.attacks_on_content import CONTENT
from tests.device.updater.attacks_on_deltas import DELTAS
from tests.device.updater.attacks_on_time import TIME
from tests.device.updater.attacks_on_withdrawals import WITHDRAWN

__all__ = ["ATTACKS", "ELSEWHERE", "TABLES", "Elsewhere"]

TABLES: dict[str, tuple[Attack, ...]] = {**CONTENT, **TIME, **WITHDRAWN, **SERVER_ATTACKS, **DELTAS}
ATTACKS: tuple[Attack, ...] = tuple(attack for table in TABLES.values() for attack in table)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An attack that needs more than a simulated repository; `test` is where it is tried."""

    title: str
    does: str
    test: str
    residual: str = "-"


_UPDATER = "tests/device/updater"
_STOLEN = "tests/vendor/test_stolen_authority.py"

ELSEWHERE: dict[str, tuple[Elsewhere, ...]] = {
    "A stolen server, at the edges": (
        Elsewhere(
            "the plan asks for checks once a week, or every second",
            "keeps to the product's bounds",
            f"{_UPDATER}/test_schedule.py::test_a_plan_moves_the_interval_only_within_the_products_bounds",
        ),
        Elsewhere(
            "`Retry-After` of ten years",
            "waits a day at most",
            f"{_UPDATER}/test_schedule.py::test_retry_after_is_obeyed_and_cannot_silence_a_device_for_ever",
        ),
        Elsewhere(
            "plans dated 2046",
            "takes times from offline signatures only",
            f"{_UPDATER}/test_freshness.py::test_the_time_floor_rises_with_what_the_release_keys_signed_and_no_other",
        ),
        Elsewhere(
            "the server goes silent while a new release is on trial",
            "falls back, and tries that release three times in all",
            f"{_UPDATER}/test_updates.py::test_a_release_that_cannot_reach_the_vendor_is_tried_again_a_bounded_number_of_times",
            "a delay: the owner can ask for the release again",
        ),
        Elsewhere(
            "the release keys and everything online are stolen, but not the gate's key",
            "refuses what the gate did not pass (`ungated`, `bad-attestation`)",
            f"{_UPDATER}/test_gated.py::test_stolen_release_keys_alone_ship_nothing",
            "none, where the firmware knows a gate",
        ),
        Elsewhere(
            "RAUC's key, too: a bundle that the gate refused, or never saw, or judged as another",
            "refuses it before it fetches a byte of it (`ungated`, `bad-attestation`)",
            "tests/end_to_end/test_gated_bundles.py::test_a_bundle_that_the_gate_refused_is_refused_though_its_word_is_true",
            "none, where the firmware knows a gate",
        ),
        Elsewhere(
            "plans that let nobody report: a thief of the online keys silences the fleet",
            "reports if it is in the share that was signed offline, whatever a plan says",
            f"{_UPDATER}/test_sampling.py::test_no_online_key_silences_the_sample",
        ),
        Elsewhere(
            "a halt or a withdrawal is hidden until the download is over",
            "reads the plan again before it activates",
            f"{_UPDATER}/test_holds.py::test_a_halt_during_the_download_stops_the_activation",
        ),
    ),
    "A stolen enrollment authority": (
        Elsewhere(
            "failures reported by devices that were never made",
            "waits: the rollout halts, offers no other release and nobody more",
            f"{_STOLEN}::test_forged_failures_of_the_admitted_stop_the_rollout_and_change_nothing_else",
            "a delay: the vendor sees serial numbers that its factory never made, and `block`s"
            " them or resumes",
        ),
        Elsewhere(
            "a flood of failures by one of them, or by some that are not admitted",
            "is not held up: one vote a device, the plan's own devices only",
            f"{_STOLEN}::test_one_forged_device_has_one_vote_however_often_it_reports",
        ),
        Elsewhere(
            "successes reported by devices that were never made",
            "is let in no sooner: each step lasts its time",
            f"{_STOLEN}::test_forged_successes_shorten_no_step",
            "91 of them hide one real failure; the signed ramp and rings of known devices bound"
            " that",
        ),
        Elsewhere(
            "certificates by the stolen key, after `limpet vendor rekey`",
            "is told apart: the service takes of a replaced authority only what its record has",
            "tests/vendor/test_rekeying.py::test_a_replaced_authority_certifies_nobody_and_its_devices_go_on_to_the_new_one",
            "an owner's programs believe the old authority until its certificate ends",
        ),
    ),
    "Records of the device": (
        Elsewhere(
            "the cache of metadata is emptied, damaged or gone, each file",
            "fetches it anew, against its own record of versions",
            f"{_UPDATER}/test_lost_records.py::test_a_damaged_cache_file_costs_nothing",
        ),
        Elsewhere(
            "the cache and the record of versions are both gone",
            "is as new: boot's counter, the running version and the time it was built still hold",
            f"{_UPDATER}/test_lost_records.py::test_without_any_record_older_metadata_passes_and_older_firmware_does_not",
            "older metadata passes until it ends",
        ),
        Elsewhere(
            "the root of trust in the cache is another's",
            "trusts the one in its firmware",
            f"{_UPDATER}/test_refusals.py::test_the_root_of_trust_is_the_firmwares_whatever_the_cache_holds",
        ),
        Elsewhere(
            "boot's record is damaged, one copy or both",
            "starts from the sound copy; without one, stops and says so",
            "tests/firmware/test_slots.py::test_damaging_the_newer_firmware_does_not_bring_back_one_with_a_closed_hole",
        ),
    ),
    "Bad input": (
        Elsewhere(
            "any byte of any file of the repository changed, cut, grown or swapped",
            "refuses by a named reason, or the change meant nothing",
            f"{_UPDATER}/test_bad_bytes.py::test_changed_bytes_have_a_named_reason_or_change_nothing",
        ),
        Elsewhere(
            "any field of root, timestamp, snapshot, targets, releases, rollout of another type,"
            " signed anew by the true keys",
            "the same",
            f"{_UPDATER}/test_bad_bytes.py::test_a_signed_field_of_another_type_has_a_named_reason_or_changes_nothing",
        ),
        Elsewhere(
            "any field of plan, manifest, support statement of another type, signed anew",
            "the same",
            f"{_UPDATER}/test_bad_bytes.py::test_a_signed_target_with_an_odd_field_has_a_named_reason_or_is_held",
        ),
        Elsewhere(
            "any byte of an image changed or missing",
            "refuses, or asks again; nothing of it is left",
            f"{_UPDATER}/test_bad_bytes.py::test_changed_bytes_of_the_image_leave_device_and_slot_as_they_were",
        ),
        Elsewhere(
            "a decompression bomb in an image",
            "stops at the signed size",
            "tests/firmware/test_groups.py::test_a_bomb_is_stopped_at_the_signed_size",
        ),
        Elsewhere(
            "slow retrieval and nineteen other ways to serve metadata badly: silence, dripping,"
            " heads and bodies without end, cuts, lies about length, redirects, parts, pages",
            "waits no longer than a minute for a file, reads no byte over its bound, follows"
            " nothing, asks nothing twice",
            f"{_UPDATER}/test_bad_servers.py::test_a_server_that_misbehaves_gets_a_named_reason_in_bounded_time",
            "a delay",
        ),
        Elsewhere(
            "slow retrieval of an image",
            "leaves a server below 1 KiB a second, and goes on at the next byte",
            f"{_UPDATER}/test_transfer.py::test_a_server_that_drips_is_left_and_the_rest_is_fetched_anew",
            "a delay",
        ),
        Elsewhere(
            "a body without end, another range than asked",
            "reads to the signed size; refuses another range",
            f"{_UPDATER}/test_transfer.py::test_another_range_than_asked_is_refused",
        ),
        Elsewhere(
            "a delta without end, of another range, redirected, a page, gone",
            "reads to the signed size; fetches the image",
            f"{_UPDATER}/test_delta_surroundings.py::test_a_server_of_a_delta_that_misbehaves_costs_bytes_or_time_and_nothing_else",
        ),
        Elsewhere(
            "a server that has the image and is silent, cuts or fails for the delta alone",
            "waits, for a broken line is no reason for a download many times as large; after three"
            " checks it fetches the image",
            f"{_UPDATER}/test_cut_deltas.py::test_a_delta_that_never_comes_holds_an_update_for_three_checks",
            "a delay",
        ),
        Elsewhere(
            "the same, but for one group at each check, which is progress",
            "waits; after nine checks it fetches the rest of the image",
            f"{_UPDATER}/test_cut_deltas.py::test_one_group_a_check_holds_an_update_for_nine_checks",
            "a delay",
        ),
        Elsewhere(
            "a delta that ends the updater's process",
            "is not decoded a third time; fetches the image",
            f"{_UPDATER}/test_deltas.py::test_a_delta_that_ends_the_process_is_not_decoded_a_third_time",
        ),
        Elsewhere(
            "a disk that is full in the midst of a delta",
            "says `disk-full`, starts the old firmware, and installs once the disk is well",
            f"{_UPDATER}/test_delta_surroundings.py::test_a_disk_that_is_full_in_the_midst_of_a_delta_is_named_and_waited_for",
        ),
        Elsewhere(
            "a disk that is full, over its quota, read-only, forbidden or broken, from any system"
            " call on, or for one",
            "says which (`disk-full`, `read-only`, `not-permitted`, `storage`), starts the old"
            " firmware, and installs once the disk is well",
            f"{_UPDATER}/test_full_disk.py::test_any_failing_call_leaves_a_sound_device_and_a_named_reason",
        ),
        Elsewhere(
            "a file system that is really full",
            "the same",
            f"{_UPDATER}/test_full_disk.py::test_a_file_system_that_is_really_full_is_named_and_waited_for",
        ),
    ),
}
