"""All tables of attacks, in the order of the page."""

from dataclasses import dataclass

from tests.device.updater.attacks import Attack
from tests.device.updater.attacks_by_server import SERVER_ATTACKS
from tests.device.updater.attacks_on_content import CONTENT
from tests.device.updater.attacks_on_time import TIME

__all__ = ["ATTACKS", "ELSEWHERE", "TABLES", "Elsewhere"]

TABLES: dict[str, tuple[Attack, ...]] = {**CONTENT, **TIME, **SERVER_ATTACKS}
ATTACKS: tuple[Attack, ...] = tuple(attack for table in TABLES.values() for attack in table)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An attack that needs more than a simulated repository; `test` is where it is tried."""

    title: str
    does: str
    test: str
    residual: str = "-"


_UPDATER = "tests/device/updater"

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
            "a halt or a withdrawal is hidden until the download is over",
            "reads the plan again before it activates",
            f"{_UPDATER}/test_holds.py::test_a_halt_during_the_download_stops_the_activation",
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
}
