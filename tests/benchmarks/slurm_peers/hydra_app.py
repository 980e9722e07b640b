"""The peer with an experiment's trimmings: an application for hydra's multirun and its submitit launcher, run in an
environment of its own (``hydra_environment.py``)."""

import hydra
from omegaconf import DictConfig


@hydra.main(version_base=None, config_path=None)
def main(config: DictConfig) -> int:
    import trivial  # here, for the function is pickled as a whole

    return trivial.write(config.number, config.folder)


if __name__ == "__main__":
    main()
