"""What Dagster's pages ask for, and so can show: of a run, and of everything else."""

from __future__ import annotations

from typing import Final

_FRAGMENTS: Final = """
fragment told on PythonError { message className stack errorChain { error { message stack } } }
fragment metadata on MetadataEntry {
    label description
    ... on TextMetadataEntry { text }
    ... on JsonMetadataEntry { jsonString }
    ... on MarkdownMetadataEntry { mdStr }
    ... on UrlMetadataEntry { url }
    ... on PathMetadataEntry { path }
}
"""
RUN: Final = f"""
query ($run: ID!, $cursor: String) {{ runOrError(runId: $run) {{ ... on Run {{
    runConfigYaml tags {{ key value }} stepStats {{ stepKey status }}
    eventConnection(afterCursor: $cursor) {{ hasMore cursor events {{
        __typename
        ... on MessageEvent {{ message stepKey }}
        ... on ErrorEvent {{ error {{ ...told }} }}
        ... on MaterializationEvent {{ description metadataEntries {{ ...metadata }} }}
        ... on AssetCheckEvaluationEvent {{
            evaluation {{ description metadataEntries {{ ...metadata }} }} }}
        ... on LogsCapturedEvent {{ fileKey logKey externalUrl }}
    }} }}
}} }} }} {_FRAGMENTS}"""
ASSET: Final = """
query ($key: AssetKeyInput!) {
    assetsLatestInfo(assetKeys: [$key]) { latestRun { runId } }
    assetNodeOrError(assetKey: $key) { ... on AssetNode {
        assetMaterializations { runId }
        assetObservations { runId metadataEntries { label } }
        assetChecksOrError { ... on AssetChecks { checks {
            name executionForLatestMaterialization { status runId } } } }
    } }
}"""
EVERYTHING_ELSE: Final = f"""
query ($repository: RepositorySelector!) {{
    instance {{
        info runLauncher {{ name }}
        daemonHealth {{ allDaemonStatuses {{ daemonType lastHeartbeatErrors {{ ...told }} }} }}
    }}
    workspaceOrError {{ ... on Workspace {{ locationEntries {{
        name displayMetadata {{ key value }} locationOrLoadError {{ ...told }} }} }} }}
    repositoryOrError(repositorySelector: $repository) {{ ... on Repository {{
        displayMetadata {{ key value }}
        sensors {{ name description sensorState {{ ticks(limit: 50) {{
            skipReason cursor error {{ ...told }} logEvents {{ events {{ message }} }} }} }} }}
        schedules {{ name scheduleState {{ ticks(limit: 50) {{ error {{ ...told }} }} }} }}
        assetNodes {{ description metadataEntries {{ ...metadata }} configField {{ name }} }}
        allTopLevelResourceDetails {{ name configuredValues {{ key value }} }}
    }} }}
}} {_FRAGMENTS}"""
