#!/bin/bash
#SBATCH --job-name=mosaicd-embed
#SBATCH --array=1-64
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --requeue
# One part for each task of the array; ARTWORKS, PARTS and CONFIG are folders and a file that every node sees, COUNT is how
# many parts there are, if not as many as tasks:
#   sbatch --export=ALL,ARTWORKS=/mnt/art,PARTS=/mnt/parts,CONFIG=/mnt/mosaicd.toml tests/scale/slurm.sh
# A task whose node is lost is queued again by Slurm and continues where it was; one that failed four times is given again with
# sbatch --array=3 --export=ALL,COUNT=64,... When all have ended, on the server with the service stopped:
#   mosaicd --config /etc/mosaicd/mosaicd.toml import /mnt/parts/*/
set -euo pipefail
: "${ARTWORKS:?}" "${PARTS:?}" "${CONFIG:?}"
part=$SLURM_ARRAY_TASK_ID count=${COUNT:-$SLURM_ARRAY_TASK_COUNT}
mkdir -p "$PARTS"
for _ in 1 2 3 4; do
    mosaicd --config "$CONFIG" --artworks "$ARTWORKS" embed --part "$part/$count" --out "$PARTS/$part" && exit
done
exit 1
