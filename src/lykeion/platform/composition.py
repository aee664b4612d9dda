"""The kinds of this package and their controllers, from which a platform is assembled."""

from lykeion.control import AnyKind, ResourceController

from .controllers.batch_controller import BATCH_EXECUTIONS
from .controllers.image_build_controller import IMAGE_BUILDS
from .controllers.pipeline_controller import PIPELINES
from .controllers.pipeline_run_controller import PIPELINE_RUNS
from .controllers.serving_controller import CLUSTER_SERVINGS, SERVINGS
from .controllers.training_controller import TRAININGS
from .resources.batch_execution import BATCH_EXECUTION
from .resources.cluster_profile import CLUSTER_PROFILE
from .resources.configuration import CONFIG_MAP, SECRET
from .resources.image_build import IMAGE_BUILD
from .resources.program_volume import VOLUME
from .resources.replica_group import REPLICA_GROUP
from .resources.route import ROUTE
from .resources.serving import SERVING
from .resources.step_pipeline import PIPELINE, PIPELINE_RUN
from .resources.training import TRAINING
from .resources.webhook import WEBHOOK
from .resources.work import WORK

CONTROLLERS: tuple[ResourceController, ...] = (
    BATCH_EXECUTIONS,
    IMAGE_BUILDS,
    PIPELINES,
    PIPELINE_RUNS,
    SERVINGS,
    TRAININGS,
)
CLUSTER_CONTROLLERS = tuple(CLUSTER_SERVINGS if each is SERVINGS else each for each in CONTROLLERS)
"""Those of a cluster, which scales groups itself and gives replicas their models."""
DEFINED: dict[str, AnyKind] = {
    kind.name: kind
    for kind in (BATCH_EXECUTION, CLUSTER_PROFILE, IMAGE_BUILD, PIPELINE, PIPELINE_RUN, SERVING, TRAINING, WEBHOOK)
}
"""The kinds that a cluster is given definitions of."""
WRITTEN: dict[str, AnyKind] = {**DEFINED, SECRET.name: SECRET, CONFIG_MAP.name: CONFIG_MAP}
"""The kinds that users write."""
PLAIN: dict[str, AnyKind] = {kind.name: kind for kind in (WORK, REPLICA_GROUP, ROUTE, VOLUME)}
"""The kinds that controllers create, which a machine or a cluster runs."""
KINDS: dict[str, AnyKind] = {**WRITTEN, **PLAIN}
