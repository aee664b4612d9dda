"""The kinds of this package and their controllers, from which a platform is assembled."""

from lykeion.control import AnyKind, ResourceController
from lykeion.platform.resources.pipelines import PIPELINE, PIPELINE_RUN
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP, ROUTE, WORK
from lykeion.platform.resources.programs import VOLUME
from lykeion.platform.resources.runs import BATCH_EXECUTION, IMAGE_BUILD, TRAINING
from lykeion.platform.resources.servings import SERVING
from lykeion.platform.resources.settings import CLUSTER_PROFILE, CONFIG_MAP, SECRET, WEBHOOK

from .controllers.batch_controller import BATCH_EXECUTIONS
from .controllers.image_build_controller import IMAGE_BUILDS
from .controllers.pipeline_controller import PIPELINES
from .controllers.pipeline_run_controller import PIPELINE_RUNS
from .controllers.serving_controller import CLUSTER_SERVINGS, SERVINGS
from .controllers.training_controller import TRAININGS

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
