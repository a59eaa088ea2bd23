"""`python -m src.train` with a small network in ResNet50's place, also in the trials' processes."""

import src.model.regressor
from src.train import main
from tests.integration.small_backbone import build_small_backbone

src.model.regressor.build_backbone = build_small_backbone

if __name__ == "__main__":
    main()
